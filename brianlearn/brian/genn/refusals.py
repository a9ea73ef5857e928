"""What GeNN devices cannot run, refused by name with what can."""

from __future__ import annotations

from collections.abc import Iterable

from brianlearn.errors import RuleError, SpecError
from brianlearn.learning.optimisers import Optimiser
from brianlearn.learning.rules.local import LocalRule
from brianlearn.learning.rules.paths import Fixed
from brianlearn.network.record import Tap
from brianlearn.network.spec import NetworkSpec

__all__ = ["refuse_genn", "refuse_recording"]


def refuse_recording(device: str, record: Iterable[Tap]) -> None:
    """Refuse by name what a GeNN device cannot record.

    Raises
    ------
    SpecError
        All but spikes and the readout.
    """
    for tap in record:
        if tap.variable not in ("spikes", "readout") or (tap.variable == "readout" and tap.neurons is not None):
            raise SpecError(
                f"device {device!r}",
                "it records spikes and whole readouts alone",
                got=f"{tap.variable!r} of {tap.layer}",
                expected="'spikes' or 'readout'",
                remedy="use device='cpp_standalone' with timing='pipelined', whose numbers are the same",
            )


def refuse_genn(device: str, spec: NetworkSpec, rule: LocalRule | None, optimiser: Optimiser | None) -> None:
    """Refuse by name what a GeNN device cannot run.

    Parameters
    ----------
    device : {"genn", "genn-cpu"}
    spec : NetworkSpec
    rule : LocalRule or None
    optimiser : Optimiser or None

    Raises
    ------
    SpecError
        Same-step timing, direct currents, noise, learned constants.
    RuleError
        Learning convolutions, optimisers other than SGD.
    """
    owner = f"device {device!r}"
    spec.check_chain(owner)
    if spec.timing != "pipelined":
        raise SpecError(
            owner,
            "in GeNN a spike reaches the next layer in the next step",
            got=f"timing={spec.timing!r}",
            expected="timing='pipelined'",
            remedy="use NetworkSpec(..., timing='pipelined') or --timing pipelined; or device='cpp_standalone'",
        )
    if spec.input.encoder.carries_values:
        raise SpecError(
            owner,
            "a direct current is a presynaptic value, which GeNN's synapses cannot read",
            got="DirectCurrent",
            expected="an encoder that makes spikes, e.g. IntegrateAndFireEncoder()",
            remedy="use another encoder, or device='cpp_standalone'",
        )
    if spec.learned_constants:
        raise SpecError(
            owner,
            "a program of GeNN has constants of neurons that stay as they are",
            got=f"learned constants {', '.join(one.key for one in spec.learned_constants)}",
            expected="neurons without learn",
            remedy="use spec.with_learned_constants(weights), whose neurons have the learned values",
        )
    for p in spec.projections:
        if p.layer.neuron.random:
            raise SpecError(
                f"{owner}, layer {p.name}",
                "GeNN's random numbers have no seed, so that no run could be repeated",
                got=f"{', '.join(p.layer.neuron.random)} in {p.layer.neuron.equations.strip()!r}, threshold or reset",
                expected="a neuron without noise and random functions",
                remedy="draw noise into the input (bl.PoissonEncoder, events), or use device='cpp_standalone'",
            )
    if rule is None:
        return
    for p in spec.projections:
        if p.sign is not None and p.learned:
            raise SpecError(
                f"{owner}, projection {p.name}",
                "synapses of GeNN keep no sign while they learn",
                got=f"sign={p.sign!r}",
                expected="learned=False, or no sign",
                remedy="use device='cpp_standalone' with timing='pipelined'",
            )
    if optimiser is not None and not optimiser.is_plain:
        raise RuleError(
            owner,
            "synapses of GeNN learn with SGD only, without clipping",
            got=repr(optimiser),
            expected="SGD",
            remedy="use SGD, or device='cpp_standalone' with timing='pipelined', which has all optimisers",
        )
    for layer, found in rule.paths(spec).items():
        if len(found) > 1 or any(isinstance(path, Fixed) and not path.reads for path in found):
            raise RuleError(
                f"{owner}, rule {rule.name!r}",
                "in GeNN a layer has one error path, from its own readout or from the layer above",
                got=f"{layer}: {', '.join(path.name for path in found)}",
                expected="one path",
                remedy="use DALTON() or TFR(), or device='cpp_standalone' with timing='pipelined'",
            )
    for p in spec.projections:
        if p.connection.shares_weights and p.learned and rule.learning_rate_scale.get(p.name, 1.0) != 0:
            raise RuleError(
                f"{owner}, layer {p.name}",
                "GeNN has no weights that synapses share, so that a convolution cannot learn",
                got=f"{p.name} is learned",
                expected=f"a frozen kernel: learning_rate_scale={{{p.name!r}: 0}}",
                remedy="freeze it; or learn with device='cpp_standalone' or engine='discrete' and use the weights here",
            )
