"""The discrete-time equivalent of a network as a torch module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from brian2 import second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.discrete.host.memory import keep_freed_memory
from brianlearn.discrete.maps import conv as conv_map  # noqa: F401 - the maps of kinds of connections
from brianlearn.discrete.maps import dense as dense_map  # noqa: F401 - the maps of kinds of connections
from brianlearn.discrete.maps import synapse_list as list_map  # noqa: F401 - the maps of kinds of connections
from brianlearn.discrete.maps.base import SynapticMap, arrive, ports_of, unflatten
from brianlearn.discrete.maps.bits import weighted
from brianlearn.discrete.run.activity import DiscreteActivity
from brianlearn.discrete.run.component import Component, after
from brianlearn.discrete.run.pipelined import later
from brianlearn.discrete.run.spread import shares_of, spread_sums
from brianlearn.discrete.step.derived import Derived
from brianlearn.discrete.step.draws import Draws
from brianlearn.discrete.step.encoding import dropout_mask, encode_all, given_spikes, random_keys
from brianlearn.discrete.step.program import Program, filter_program, neuron_program, response_program
from brianlearn.discrete.step.recurrence import Recurrence
from brianlearn.errors import SpecError, UnitError
from brianlearn.learning.delays import rounded
from brianlearn.learning.rules.eligibility import linear_response
from brianlearn.learning.weights import check_weights, initial_weights
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.neurons.noise import noise_keys
from brianlearn.network.population import Population
from brianlearn.network.spec import NetworkSpec, Projection

__all__ = ["DiscreteNetwork", "export", "postsynaptic_potential"]

RECORDS = ("membranes", "synaptic_input", "psps")
RESET_PATHS = ("detached", "kept")
#: Bytes of the largest arrays whose memory is kept when they are freed; populations that run step by step take so long
#: that the time to get larger ones from the system is some 3 % (1000 neurons, 1000 steps, 16 trials: 61 MiB each).
LARGEST, LARGEST_OF_STEPS = 2**30, 48 * 2**20


class DiscreteNetwork(torch.nn.Module):
    """A network in discrete time: the statements that Brian2 runs, differentiable by torch.

    Made by `export`. Parameters and state dict are the weights dict of the package: ``conv1``, ``dense1``, ...,
    ``readout``: the names of projections; ``dense1.tau_m`` of a learned constant. In training mode, dropout drops
    spikes.

    Parameters
    ----------
    spec : NetworkSpec
    weights : mapping
        Layer name -> array.
    reset_path : {"detached", "kept"}
        Whether the spike that resets a neuron passes gradient.
    kernels : bool
        Whether generated kernels may run; plain torch otherwise.
    psp_tau : brian2.Quantity or None
        Time constant of the postsynaptic potentials that ``forward`` can return.
    dtype : torch.dtype

    Attributes
    ----------
    spec : NetworkSpec

    Raises
    ------
    SpecError
        A layer with the name of an attribute of torch's modules; neurons that have no step in discrete time.
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
        for population in spec.neurons:
            program = neuron_program(
                spec.onto(population.name)[0],
                dt,
                delivered_before_reset=spec.timing == "brian2",
                reset_kept=reset_path == "kept",
                inlined=self.pipelined,
            )
            recurrences[population.name] = Recurrence(
                program,
                population.shape,
                reset_kept=reset_path == "kept",
                kernels=kernels,
                derived=derived_of(spec, population, program),
                parameter=self.get_parameter,
            )
        for p in spec.pathways:
            maps[p.name] = SynapticMap(p, events=kernels)  # type: ignore[abstract]  # makes the map of the kind
        self._recurrences, self._maps, self._kernels = recurrences, maps, kernels
        self._components = {
            names: Component(spec, names, recurrences, maps, kernels=kernels)
            for names in spec.graph.components
            if spec.graph.is_recurrent(names)
        }
        self._traces: dict[str, Recurrence] = {}
        self._psp_decay = None if psp_tau is None else float(np.exp(-dt / float(psp_tau)))
        self._leaks: dict[str, Recurrence] = {}
        for readout in spec.graph.readouts:
            tau = spec.graph.tau_of(readout.name)
            if tau is not None:
                decay = float(np.exp(-dt / float(tau)))
                self._leaks[readout.name] = Recurrence(filter_program(decay), (), kernels=kernels)
        #: Epoch whose spread learned delays have in training mode.
        self.epoch = 0
        constants = {one.key for one in spec.learned_constants}
        for name, array in weights.items():
            if hasattr(self, name):
                raise SpecError(
                    name, "the layer's name is an attribute of torch modules", got=repr(name), expected="another name"
                )
            parameter = torch.nn.Parameter(torch.as_tensor(np.array(array), dtype=dtype))
            if name not in constants:
                self.register_parameter(name, parameter)
                continue
            owner, constant = name.split(".")
            # beside the weights of a chain's layer, which have the population's name: not `add_module`, which sees both
            holder = self._modules.setdefault(owner, torch.nn.Module())
            assert holder is not None
            holder.register_parameter(constant, parameter)

    def get_parameter(self, target: str) -> torch.nn.Parameter:
        """A parameter by its name.

        Parameters
        ----------
        target : str
            Of a projection, or ``"<population>.<constant>"`` of a learned constant.

        Returns
        -------
        torch.nn.Parameter
        """
        population, _, constant = target.partition(".")
        holder = self._modules.get(population) if constant else None
        return super().get_parameter(target) if holder is None else holder.get_parameter(constant)

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
            One random key per presentation (`LearnerState.sample_keys`), for encoders that draw, for dropout and for
            neurons with noise; from torch's generator where it is not given.

        Returns
        -------
        DiscreteActivity

        Raises
        ------
        ShapeError, DataError, SpecError
        """
        self._check_record(record)
        spec, steps = self.spec, self.spec.n_steps
        heard = encode_all(spec, inputs, next(self.parameters()), keys)
        spikes = given_spikes(spec, heard)
        draws = self.draws(next(iter(spikes.values())).shape[1], keys)
        recorded: dict[str, dict[str, torch.Tensor]] = {name: {} for name in RECORDS}
        for names in spec.graph.components:
            ran = self._ran_together(names, heard, record, keys, draws) if names in self._components else {}
            for name in names:
                p = spec.graph.by_name[name]
                fired, membrane, delivered, last = ran.get(name) or self._ran(p, heard, record, draws)
                spikes[p.name] = source = unflatten(fired, p.shape, last)
                if membrane is not None:
                    recorded["membranes"][p.name] = unflatten(membrane, p.shape, last)
                if "synaptic_input" in record:
                    several = ports_of(p) > 1
                    arrived = delivered.unflatten(-1, p.shape) if several else unflatten(delivered, p.shape, last)
                    recorded["synaptic_input"][p.name] = arrived
                if "psps" in record:
                    assert self._psp_decay is not None
                    recorded["psps"][p.name] = postsynaptic_potential(source, self._psp_decay, kernels=self._kernels)
                mask = dropout_mask(p, steps, source.shape[1], source, keys) if self.training else None
                heard[p.name] = source if mask is None else source * mask
        return self.active(spikes, heard, **recorded)

    def active(
        self, spikes: Mapping[str, torch.Tensor], heard: Mapping[str, torch.Tensor], **recorded: Any
    ) -> DiscreteActivity:
        """The activity of a batch, with all readouts.

        Parameters
        ----------
        spikes, heard : mapping
            Population -> spikes, and what others hear of them, shape (T, B, *shape).
        **recorded : dict
            Other fields of the activity.

        Returns
        -------
        DiscreteActivity
        """
        readouts = {readout.name: self._readout(readout.name, heard) for readout in self.spec.graph.readouts}
        output = readouts.pop(self.spec.output, None)
        return DiscreteActivity(spikes, output, self.spec.burn_in_steps, **recorded, others=readouts)

    def draws(self, samples: int, keys: np.ndarray | None) -> dict[str, Draws]:
        """Where neurons draw random numbers, by population; nothing for those without noise.

        Parameters
        ----------
        samples : int
        keys : numpy.ndarray of uint64, shape (B, 2), or None
            As in `forward`.

        Returns
        -------
        dict of str to Draws
        """
        noisy = [p for p in self.spec.neurons if self._recurrences[p.name].program.draws]
        if noisy and keys is None:
            keys = random_keys(samples)
        return {p.name: Draws(noise_keys(p.name, keys), np.arange(p.n)) for p in noisy}  # type: ignore[arg-type]

    def _ran(
        self,
        p: Population,
        heard: Mapping[str, torch.Tensor],
        record: Sequence[str],
        draws: Mapping[str, Draws],
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, bool]:
        """A population over the whole sequence: spikes, membranes, what arrived, and the order in memory."""
        delivered, last = self._delivered(p, heard)
        if self.pipelined:
            delivered = later(delivered)
        fired, membrane = self._recurrences[p.name](
            delivered,
            channels_last=last,
            membrane="membranes" in record,
            overwrite="synaptic_input" not in record,  # the sums are nobody else's
            draws=draws.get(p.name),
        )
        assert fired is not None
        return fired, membrane, delivered, last

    def _ran_together(
        self,
        names: Sequence[str],
        heard: Mapping[str, torch.Tensor],
        record: Sequence[str],
        keys: np.ndarray | None,
        draws: Mapping[str, Draws],
    ) -> dict[str, tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, bool]]:
        """The same for populations that hear one another."""
        component, delivered = self._components[tuple(names)], {}
        populations = [self.spec.graph.by_name[name] for name in names]
        for p in populations:
            delivered[p.name] = self.from_outside(component, p, heard)
        masks = {p.name: self.component_mask(p, delivered[p.name], keys) for p in populations}
        weights = self.weights_of(component.projections)
        found, _ = component.differentiable(
            delivered, weights, masks, membrane="membranes" in record, sums="synaptic_input" in record, draws=draws
        )
        return {
            n: (found[n]["spike"], found[n].get("membrane"), found[n].get("delivered", delivered[n]), False)
            for n in names
        }

    def from_outside(self, component: Component, p: Population, heard: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What reaches a population of a component from outside in every step.

        Parameters
        ----------
        component : Component
        p : Population
        heard : mapping
            Population outside -> its spikes.

        Returns
        -------
        torch.Tensor, shape (T, B, neurons), or (T, ports, B, neurons) where it has several input variables
        """
        outside = [q for q in self.spec.pathways_onto(p.name) if q not in component.projections]
        if not outside:
            like = next(iter(heard.values()))
            ports = [ports_of(p)] if ports_of(p) > 1 else []
            return like.new_zeros(self.spec.n_steps, *ports, like.shape[1], p.n)
        delivered, last = self._delivered(p, heard, outside)
        return unflatten(delivered, p.shape, True).flatten(2) if last else delivered

    def component_mask(self, p: Population, like: torch.Tensor, keys: np.ndarray | None) -> torch.Tensor | None:
        """The dropout mask of a population of a component, shape (B, neurons) or (T, B, neurons); None without.

        Parameters
        ----------
        p : Population
        like : torch.Tensor, shape (T, B, neurons)
        keys : numpy.ndarray or None

        Returns
        -------
        torch.Tensor or None
        """
        mask = dropout_mask(p, self.spec.n_steps, like.shape[-2], like, keys) if self.training else None
        return None if mask is None else mask.flatten(-len(p.shape))

    def component(self, names: Sequence[str]) -> Component | None:
        """What runs populations that hear one another; None for those that do not.

        Parameters
        ----------
        names : sequence of str
            One of ``spec.graph.components``.

        Returns
        -------
        Component or None
        """
        return self._components.get(tuple(names))

    def _delivered(
        self, population: Population, heard: Mapping[str, torch.Tensor], onto: Sequence[Projection] | None = None
    ) -> tuple[torch.Tensor, bool]:
        """What reaches a population in every step, and its order in memory; ``heard``: spikes by population."""
        parts, onto = [], self.spec.pathways_onto(population.name) if onto is None else onto
        weights, spread = self.weights_of(onto), dict[str, list[Projection]]()
        for p in onto:
            spread.setdefault(p.weights_of if p.shared_by is not None else p.name, []).append(p)
        onto = [together[0] for together in spread.values()]
        for p in onto:
            synapses, delay = self._maps[p.name], self.spec.arrival_steps(p)
            if p.shared_by is not None:
                each = [weights[q.name] for q in spread[p.weights_of]]
                parts.append(spread_sums(heard[p.source], each, synapses, delay, self.spec.n_steps))
                continue
            source = after(heard[p.source], delay, self.spec.n_steps)
            delivered, last = synapses(source, weights[p.name], synapses.lists(source))
            if len(delivered) != self.spec.n_steps:  # a direct current is the same in every step
                delivered = delivered.expand(self.spec.n_steps, *delivered.shape[1:])
            parts.append((delivered, last))
        return arrive(parts, onto, population)

    def weights_of(self, pathways: Sequence[Projection]) -> dict[str, torch.Tensor]:
        """The weights of pathways, each with its share of them where delays are learned.

        Parameters
        ----------
        pathways : sequence of Projection
            Some of ``spec.pathways``.

        Returns
        -------
        dict of str to torch.Tensor
            By name of the pathway.
        """
        found, shares = dict[str, torch.Tensor](), dict[str, torch.Tensor]()
        for q in pathways:
            found[q.name], delays = self.get_parameter(q.weights_of), q.shared_by
            if delays is not None:
                if q.weights_of not in shares:
                    width = delays.width(self.epoch, self.spec.dt) if self.training else 0.0
                    shares[q.weights_of] = shares_of(delays, self.get_parameter(q.delay_name), self.spec.dt, width)
                after_shortest = q.delay_steps(self.spec.dt) - delays.steps(self.spec.dt)[0]
                found[q.name] = found[q.name] * shares[q.weights_of][after_shortest]
        return found

    def _readout(self, name: str, heard: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """One readout of the network."""
        onto = self.spec.onto(name)
        weights = {p.name: self.get_parameter(p.name).view(p.n_post, p.n_pre) for p in onto}
        binary = [self._are_bits(p.source, heard) for p in onto]
        return self.read(name, [(heard[p.source].flatten(2), weights[p.name]) for p in onto], binary)

    def _are_bits(self, source: str, heard: Mapping[str, torch.Tensor]) -> bool:
        """Whether what a population sends is 0 or 1, and kernels run where it is."""
        p = self.spec.graph.by_name[source]
        fires = source in self._recurrences and not (self.training and p.dropout)
        return fires and self._recurrences[source].has_kernels(heard[source])

    def read(
        self, name: str, parts: Sequence[tuple[torch.Tensor, torch.Tensor]], binary: Sequence[bool] = ()
    ) -> torch.Tensor:
        """A readout, memoryless or leaky, shape (T, B, classes).

        Parameters
        ----------
        name : str
            Of the readout. One that is not the network's is like the network's first.
        parts : sequence of (torch.Tensor, torch.Tensor)
            Spikes (T, B, neurons) and weights (classes, neurons) of all that reach it.
        binary : sequence of bool
            Of which parts gradients may keep bits: what is sent is 0 or 1.

        Returns
        -------
        torch.Tensor
        """
        multiply = [weighted if bits else F.linear for bits in binary or [False] * len(parts)]
        sums = multiply[0](*parts[0])
        for product, (spikes, weight) in zip(multiply[1:], parts[1:], strict=True):
            sums = sums + product(spikes, weight)
        if len(sums) != self.spec.n_steps:  # of a direct current alone
            sums = sums.expand(self.spec.n_steps, *sums.shape[1:]).contiguous()
        if self.pipelined:
            sums = later(sums)
        return self.leaked(name, sums)

    def leaked(self, name: str, sums: torch.Tensor) -> torch.Tensor:
        """A readout from what reaches it, shape (T, B, classes); ``sums`` are nobody else's.

        Parameters
        ----------
        name : str
            As in `read`.
        sums : torch.Tensor, shape (T, B, classes)

        Returns
        -------
        torch.Tensor
        """
        leak = self._leak(name)
        if leak is None:
            return sums
        readout = leak(sums, overwrite=True)[1]
        assert readout is not None
        return readout

    def _leak(self, name: str) -> Recurrence | None:
        return self._leaks.get(name if name in self.spec.graph.by_name else self.spec.output)

    def decay(self, readout: str) -> float | None:
        """By what a leaky readout is multiplied in each step; None for one without memory.

        Parameters
        ----------
        readout : str

        Returns
        -------
        float or None
        """
        leak = self._leak(readout)
        return None if leak is None else float(leak.program.constants["decay"])

    @property
    def pipelined(self) -> bool:
        """Whether spikes reach the next layer in the next step."""
        return self.spec.timing == "pipelined"

    def synaptic_map(self, projection: str) -> SynapticMap:
        """The synaptic map of a projection.

        Parameters
        ----------
        projection : str
            One of ``spec.pathways``.

        Returns
        -------
        SynapticMap
        """
        return self._maps[projection]

    def recurrence(self, population: str) -> Recurrence:
        """The neurons of a population.

        Parameters
        ----------
        population : str

        Returns
        -------
        Recurrence
        """
        return self._recurrences[population]

    def trace(self, projection: str) -> Recurrence:
        """The eligibility traces of what the synapses of a projection see.

        Parameters
        ----------
        projection : str

        Returns
        -------
        Recurrence

        Raises
        ------
        RuleError
            Neurons without a linear response, by name.
        """
        if projection not in self._traces:
            p = next(p for p in self.spec.pathways if p.name == projection)
            program = response_program(linear_response(p, float(self.spec.dt)))
            self._traces[projection] = Recurrence(program, (), kernels=self._kernels)
        return self._traces[projection]

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
        """The weights dict, as numpy arrays: for files, and for the Brian2 engine.

        Returns
        -------
        dict of str to numpy.ndarray
        """
        return {name: p.detach().cpu().numpy().copy() for name, p in self.named_parameters()}

    def describe(self, kernels: bool = False) -> str:
        """The statements of every layer's step; with ``kernels``, the text of the kernels as well.

        Parameters
        ----------
        kernels : bool

        Returns
        -------
        str
        """
        dtype = str(next(self.parameters()).dtype).removeprefix("torch.")
        parts = []
        for name, recurrence in self._recurrences.items():
            parts.append(f"{name}, in every step:\n\n{recurrence.program}")
            if kernels:
                parts.append(recurrence.kernels(dtype).source())
        return "\n\n".join(parts) + "\n"

    def extra_repr(self) -> str:
        """What torch prints of the module beside its parts.

        Returns
        -------
        str
        """
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
    learn_delays: bool = False,
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
    learn_delays : bool
        Whether learned delays are parameters, ``<projection>_delay`` in ms. In training mode weights are then spread
        over delays as in the epoch ``module.epoch``, in evaluation mode delays are rounded. Fixed delays, those of the
        weights rounded to the time grid, otherwise.

    Returns
    -------
    DiscreteNetwork

    Raises
    ------
    SpecError
        What cannot be exported, by name: functions that have no derivative or no random numbers with a seed.
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
    recurrent = any(map(spec.graph.is_recurrent, spec.graph.components))
    keep_freed_memory(LARGEST_OF_STEPS if recurrent else LARGEST)
    arrays = initial_weights(spec, None, seed) if weights is None else check_weights(spec, None, weights)
    if not learn_delays:
        spec, arrays = rounded(spec, arrays)
    return DiscreteNetwork(
        spec,
        arrays,
        reset_path=reset_path,
        kernels=kernels,
        psp_tau=psp_tau,
        dtype=dtype or torch.get_default_dtype(),
    )


def derived_of(spec: NetworkSpec, population: Population, program: Program) -> Derived | None:
    """The constants of a population's program that follow from learned ones; None where none is learned.

    Parameters
    ----------
    spec : NetworkSpec
    population : Population
    program : Program

    Returns
    -------
    Derived or None

    Raises
    ------
    SpecError
        A learned constant without an influence on the neurons.
    """
    learned = [one for one in spec.learned_constants if one.population == population.name]
    if not learned:
        return None
    assert isinstance(population.neuron, Neuron)
    derived = Derived(population.neuron, float(spec.dt), learned, program.derived, program.base)
    for one in learned:
        if not derived.reaches(one.name):
            raise SpecError(
                f"population {population.name!r}",
                f"the learned constant {one.name!r} has no influence on what the neurons do",
                got=f"learn={[each.name for each in learned]}",
                expected="constants that a state variable, the threshold or the reset depends on",
                remedy=f"leave {one.name} out of learn",
            )
    return derived


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
