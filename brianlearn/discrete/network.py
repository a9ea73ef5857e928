"""The discrete-time equivalent of a network as a torch module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from brian2 import second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.discrete.activity import DiscreteActivity
from brianlearn.discrete.encoding import dropout_mask, encode
from brianlearn.discrete.memory import keep_freed_memory
from brianlearn.discrete.pipelined import later
from brianlearn.discrete.program import filter_program, neuron_program, response_program
from brianlearn.discrete.recurrence import Recurrence
from brianlearn.discrete.synapses import SynapticMap, unflatten
from brianlearn.errors import SpecError, UnitError
from brianlearn.rules.eligibility import linear_response
from brianlearn.rules.weights import check_weights, initial_weights
from brianlearn.spec.network import NetworkSpec

__all__ = ["DiscreteNetwork", "export", "postsynaptic_potential"]

RECORDS = ("membranes", "synaptic_input", "psps")
RESET_PATHS = ("detached", "kept")


class DiscreteNetwork(torch.nn.Module):
    """A network in discrete time: the statements that Brian2 runs, differentiable by torch.

    Made by `export`. Parameters and state dict are the weights dict of the package: ``conv1``, ``dense1``, ...,
    ``readout``. In training mode, dropout drops spikes.

    Attributes
    ----------
    spec : NetworkSpec
    """

    def __init__(
        self,
        spec: NetworkSpec,
        weights: Mapping[str, np.ndarray],
        *,
        reset_path: str,
        kernels: bool,
        psp_tau: Any,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.reset_path = reset_path
        dt = float(spec.dt)
        recurrences: dict[str, Recurrence] = {}
        maps: dict[str, SynapticMap] = {}
        for p in spec.projections:
            program = neuron_program(p, dt)
            recurrences[p.name] = Recurrence(program, p.out_shape, reset_kept=reset_path == "kept", kernels=kernels)
            maps[p.name] = SynapticMap(p, events=kernels)
        self._recurrences, self._maps, self._kernels = recurrences, maps, kernels
        self._traces: dict[str, Recurrence] = {}
        self._psp_decay = None if psp_tau is None else float(np.exp(-dt / float(psp_tau)))
        tau = spec.readout.tau if spec.readout is not None else None
        self._leak = (
            None if tau is None else Recurrence(filter_program(float(np.exp(-dt / float(tau)))), (), kernels=kernels)
        )
        for name, array in weights.items():
            if hasattr(self, name):
                raise SpecError(
                    name, "the layer's name is an attribute of torch modules", got=repr(name), expected="another name"
                )
            self.register_parameter(name, torch.nn.Parameter(torch.as_tensor(np.array(array), dtype=dtype)))

    def forward(self, inputs: Any, record: Sequence[str] = (), *, keys: np.ndarray | None = None) -> DiscreteActivity:
        """Run a batch of trials.

        Parameters
        ----------
        inputs : torch.Tensor or array_like, shape (B, *input shape)
            Values that the network's encoder turns into spikes. With the encoder ``Spikes()``: spike trains
            (T, B, *input shape), or `Events`.
        record : sequence of str
            What to return beside spikes and readout: ``"membranes"``, ``"synaptic_input"``, ``"psps"``.
        keys : numpy.ndarray of uint64, shape (B, 2), optional
            One random key per presentation (`LearnerState.sample_keys`), for encoders that draw and for dropout;
            from torch's generator where it is not given.

        Returns
        -------
        DiscreteActivity

        Raises
        ------
        ShapeError, DataError, SpecError
        """
        self._check_record(record)
        spec, steps = self.spec, self.spec.n_steps
        source = encode(spec, inputs, next(self.parameters()), keys)
        direct = spec.input.encoder.carries_values
        given = (source != 0).to(source.dtype).expand(steps, *source.shape[1:]) if direct else source
        spikes: dict[str, torch.Tensor] = {"input": given}
        recorded: dict[str, dict[str, torch.Tensor]] = {name: {} for name in RECORDS}
        for p in spec.projections:
            synapses = self._maps[p.name]
            delivered, last = synapses(source, self.get_parameter(p.name), synapses.lists(source))
            if len(delivered) != steps:  # a direct current is the same in every step
                delivered = delivered.expand(steps, *delivered.shape[1:])
            if self.pipelined:
                delivered = later(delivered)
            fired, membrane = self._recurrences[p.name](
                delivered,
                channels_last=last,
                membrane="membranes" in record,
                overwrite="synaptic_input" not in record,  # the sums are nobody else's
            )
            assert fired is not None
            spikes[p.name] = source = unflatten(fired, p.out_shape, last)
            if membrane is not None:
                recorded["membranes"][p.name] = unflatten(membrane, p.out_shape, last)
            if "synaptic_input" in record:
                recorded["synaptic_input"][p.name] = unflatten(delivered, p.out_shape, last)
            if "psps" in record:
                assert self._psp_decay is not None
                recorded["psps"][p.name] = postsynaptic_potential(source, self._psp_decay, kernels=self._kernels)
            mask = dropout_mask(p, steps, source.shape[1], source, keys) if self.training else None
            if mask is not None:
                source = source * mask
        return DiscreteActivity(spikes, self._readout(source), spec.burn_in_steps, **recorded)

    def _readout(self, source: torch.Tensor) -> torch.Tensor | None:
        if self.spec.readout is None:
            return None
        return self.read(source.flatten(2), self.get_parameter("readout"))

    def read(self, spikes: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """A readout of the network's kind, memoryless or leaky, of spikes (T, B, neurons)."""
        sums = F.linear(spikes, weight)
        if self.pipelined:
            sums = later(sums)
        if self._leak is None:
            return sums
        readout = self._leak(sums, overwrite=True)[1]
        assert readout is not None
        return readout

    @property
    def pipelined(self) -> bool:
        """Whether spikes reach the next layer in the next step."""
        return self.spec.timing == "pipelined"

    def synapses(self, layer: str) -> SynapticMap:
        """The synaptic map onto a layer."""
        return self._maps[layer]

    def recurrence(self, layer: str) -> Recurrence:
        """The neurons of a layer."""
        return self._recurrences[layer]

    def trace(self, layer: str) -> Recurrence:
        """The eligibility traces of what the synapses onto a layer see.

        Raises
        ------
        RuleError
            Neurons without a linear response, by name.
        """
        if layer not in self._traces:
            p = next(p for p in self.spec.projections if p.name == layer)
            program = response_program(linear_response(p, float(self.spec.dt)))
            self._traces[layer] = Recurrence(program, (), kernels=self._kernels)
        return self._traces[layer]

    def _check_record(self, record: Sequence[str]) -> None:
        for name in record:
            if name not in RECORDS:
                raise SpecError(
                    "DiscreteNetwork",
                    "it cannot record that",
                    got=repr(name),
                    expected=", ".join(map(repr, RECORDS)),
                    remedy="spikes and readout are always returned",
                )
        if "psps" in record and self._psp_decay is None:
            raise SpecError(
                "DiscreteNetwork",
                "postsynaptic potentials need a time constant",
                got="record=('psps',)",
                expected="export(spec, psp_tau=5*ms)",
            )

    @property
    def uses_kernels(self) -> bool:
        """Whether sequences run in fused kernels on the CPU (else in plain torch)."""
        return all(r.use_kernels for r in self._recurrences.values())

    def weights(self) -> dict[str, np.ndarray]:
        """The weights dict, as numpy arrays: for files, and for the Brian2 engine."""
        return {name: p.detach().cpu().numpy().copy() for name, p in self.named_parameters()}

    def describe(self, kernels: bool = False) -> str:
        """The statements of every layer's step; with ``kernels``, the text of the kernels as well."""
        dtype = str(next(self.parameters()).dtype).removeprefix("torch.")
        parts = []
        for name, recurrence in self._recurrences.items():
            parts.append(f"{name}, in every step:\n\n{recurrence.program}")
            if kernels:
                parts.append(recurrence.kernels(dtype).source())
        return "\n\n".join(parts) + "\n"

    def extra_repr(self) -> str:
        return f"{self.spec.describe()}\nreset_path={self.reset_path!r}, kernels={self.uses_kernels}"


def export(
    spec: NetworkSpec,
    weights: Mapping[str, np.ndarray] | None = None,
    *,
    seed: int = 0,
    reset_path: str = "detached",
    psp_tau: Any = None,
    kernels: bool = True,
    dtype: torch.dtype | None = None,
) -> DiscreteNetwork:
    """Export a network to a torch module that fires the same spikes.

    Every layer runs the statements that Brian2 runs: the exact propagator, or what Brian2's state updater generates;
    floor, threshold, refractoriness and reset. In double precision, the spikes are those of the Brian2 engine.

    Parameters
    ----------
    spec : NetworkSpec
    weights : mapping, optional
        Layer name -> array. Initial weights are drawn where they are not given.
    seed : int
        For initial weights: the same as the `Learner` draws.
    reset_path : {"detached", "kept"}
        Whether the spike that resets a neuron passes gradient. ``"detached"`` is the DALTON recipe; ``"kept"`` is the
        full derivative of the recurrence (STBP).
    psp_tau : brian2.Quantity, optional
        Time constant of the postsynaptic potentials that ``record=("psps",)`` returns.
    kernels : bool
        Whether to use generated kernels on the CPU (they need numba); plain torch otherwise.
    dtype : torch.dtype, optional
        Of the parameters; torch's default where it is not given.

    Returns
    -------
    DiscreteNetwork

    Raises
    ------
    SpecError
        What cannot be exported, by name: noise, functions that are random or have no derivative.
    WeightsError
        Weights of another network.

    Examples
    --------
    >>> import torch
    >>> import brianlearn as bl
    >>> from brianlearn.discrete import export
    >>> from brian2 import ms
    >>> spec = bl.NetworkSpec(bl.Input((4,)), [bl.Dense(8, bl.CubaLIF())], bl.Readout(3), duration=20*ms)
    >>> module = export(spec)
    >>> activity = module(torch.rand(5, 4))
    >>> tuple(activity.readout.shape)
    (20, 5, 3)
    """
    if reset_path not in RESET_PATHS:
        raise SpecError(
            "export", "reset_path is wrong", got=repr(reset_path), expected=" or ".join(map(repr, RESET_PATHS))
        )
    if psp_tau is not None and (get_dimensions(psp_tau) is not second.dim or not float(psp_tau) > 0):
        raise UnitError("export", "psp_tau is wrong", got=repr(psp_tau), expected="a time > 0, e.g. 5*ms")
    keep_freed_memory()
    arrays = initial_weights(spec, None, seed) if weights is None else check_weights(spec, None, weights)
    return DiscreteNetwork(
        spec,
        arrays,
        reset_path=reset_path,
        kernels=kernels,
        psp_tau=psp_tau,
        dtype=dtype or torch.get_default_dtype(),
    )


def postsynaptic_potential(spikes: torch.Tensor, decay: float, *, kernels: bool = True) -> torch.Tensor:
    """Postsynaptic potentials of spike trains, a[t] = d a[t-1] + (1 - d) s[t].

    Parameters
    ----------
    spikes : torch.Tensor, shape (T, B, ...)
    decay : float
        d: exp(-dt/tau), or 1 - dt/tau (Euler, as in STBP).
    kernels : bool

    Returns
    -------
    torch.Tensor, shape of ``spikes``
    """
    recurrence = Recurrence(filter_program(decay, 1.0 - decay), (), kernels=kernels)
    potential = recurrence(spikes.flatten(2))[1]
    assert potential is not None
    return potential.view(spikes.shape)
