"""Engine 2: the discrete-time equivalent of a network as a torch module, from Brian2's own statements."""

from brianlearn.discrete.host.waiting import wait_passively
from brianlearn.errors import BrianLearnError

try:
    wait_passively()  # before torch is imported
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    raise BrianLearnError(
        "brianlearn.discrete",
        "the discrete engine needs torch",
        got=str(error),
        expected="an installation with torch",
        remedy="pip install torch numba",
    ) from None

from brianlearn.discrete.run.activity import DiscreteActivity
from brianlearn.discrete.run.losses import TrialLoss
from brianlearn.discrete.run.network import DiscreteNetwork, export, postsynaptic_potential

__all__ = ["DiscreteActivity", "DiscreteNetwork", "TrialLoss", "export", "postsynaptic_potential"]
