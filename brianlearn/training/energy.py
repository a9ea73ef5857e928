"""What running a network would cost in energy, from the events that were counted and a table of costs."""

from __future__ import annotations

import ast
import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from brianlearn.citing import papers
from brianlearn.errors import DataError, did_you_mean
from brianlearn.network.checks import is_number
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.neurons.step import neuron_step
from brianlearn.network.neurons.update_code import update_code
from brianlearn.network.projection import ALWAYS
from brianlearn.network.samples.samples import Activity, Raster
from brianlearn.network.spec import NetworkSpec

__all__ = ["EnergyEntry", "EnergyLedger", "EnergyTable", "energy_ledger"]

OWNER = "energy_ledger"
#: Statements that one step of every neuron has besides its update: the comparison with the threshold.
COMPARISON = 1


@dataclass(frozen=True)
class EnergyTable:
    """What operations cost, in pJ; numbers of 32 bits in a 45 nm process at 0.9 V where nothing else is given.

    Parameters
    ----------
    add : float
        An addition of floating-point numbers, or a comparison, in pJ.
    multiply : float
        A multiplication, in pJ.
    function : float
        A function such as exp or a division, in pJ. No published value: ten multiplications.
    byte : float
        Reading or writing one byte of memory near the processor, in pJ: an eighth of 64 bits of a cache of 32 KB. Of a
        cache of 1 MB it is 12.5, of DRAM 160 to 330.
    source : str
        Where the numbers are from.

    Raises
    ------
    DataError
        Costs that are no numbers >= 0.

    References
    ----------
    M. Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014.
    """

    references = (papers.ENERGY,)

    add: float = 0.9
    multiply: float = 3.7
    function: float = 37.0
    byte: float = 2.5
    source: str = "M. Horowitz, ISSCC 2014: 45 nm, 32-bit floating point, cache of 32 KB; function: ten multiplications"

    def __post_init__(self) -> None:
        for name in self.costs():
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value < np.inf:
                raise DataError("EnergyTable", f"{name} is wrong", got=repr(value), expected="a number of pJ >= 0")

    @staticmethod
    def costs() -> tuple[str, ...]:
        """The operations that have a cost.

        Returns
        -------
        tuple of str
        """
        return ("add", "multiply", "function", "byte")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> EnergyTable:
        """A table of one's own.

        Parameters
        ----------
        path : path-like
            A TOML file with ``add``, ``multiply``, ``function`` and ``byte`` in pJ, and ``source``; what it leaves out
            stays as it is here.

        Returns
        -------
        EnergyTable

        Raises
        ------
        DataError
            A file that cannot be read, or names something else.
        """
        try:
            with open(path, "rb") as file:
                found = tomllib.load(file)
        except (OSError, tomllib.TOMLDecodeError) as error:
            got = getattr(error, "strerror", None) or str(error)
            raise DataError(str(path), "the table cannot be read", got=got, expected="TOML: add = 0.9") from error
        known = [field.name for field in dataclasses.fields(cls)]
        for name in found:
            if name not in known:
                remedy = did_you_mean(name, known)
                raise DataError(str(path), "unknown operation", got=name, expected=", ".join(known), remedy=remedy)
        return cls(**found)


@dataclass(frozen=True)
class EnergyEntry:
    """What one population or projection does, per sample.

    Attributes
    ----------
    name : str
    kind : {"neurons", "synapses"}
    events : float
        Updates of neurons, one in each step; or synaptic events, a spike that reaches a synapse.
    adds, multiplies, functions : float
        Operations.
    bytes : float
        Read and written: weights and the variables that they change, state variables.
    picojoules : float
        All of it by the table.
    """

    name: str
    kind: str
    events: float
    adds: float
    multiplies: float
    functions: float
    bytes: float
    picojoules: float


@dataclass(frozen=True)
class EnergyLedger:
    """The costs of one sample, as a mean over those that were counted.

    Attributes
    ----------
    entries : tuple of EnergyEntry
        Populations and projections, in the order of the network.
    samples : int
        That were counted.
    spikes : float
        Of all neurons, inputs included, per sample.
    dense : EnergyEntry
        For comparison: the same synapses as an artificial network, each once, a multiplication and an addition.
    table : EnergyTable
    """

    entries: tuple[EnergyEntry, ...]
    samples: int
    spikes: float
    dense: EnergyEntry
    table: EnergyTable

    @property
    def picojoules(self) -> float:
        """Of one sample."""
        return sum(entry.picojoules for entry in self.entries)

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can hold.

        Returns
        -------
        dict
        """
        return {**dataclasses.asdict(self), "picojoules": self.picojoules}


def energy_ledger(
    spec: NetworkSpec, activity: Activity, *, dtype: str = "float32", table: EnergyTable | None = None
) -> EnergyLedger:
    """Count what a network did, operation by operation, and what it would cost on digital hardware.

    Synaptic events are exact: each spike times the synapses that its neuron has. Each adds a weight to a variable of
    its target: one addition, the weight and the variable read, the variable written; a current (`DirectCurrent`) is
    also multiplied. Each neuron is updated in every step: the operations of its update as it runs, a comparison, and
    its state variables read and written. Encoders, resets and learning are not counted.

    Parameters
    ----------
    spec : NetworkSpec
    activity : Activity
        With the spikes of all its inputs and neurons: ``learner.infer(state, samples, record="spikes")``.
    dtype : {"float32", "float64"}, optional
        Of what is moved: 4 or 8 bytes a number.
    table : EnergyTable, optional

    Returns
    -------
    EnergyLedger

    Raises
    ------
    DataError
        An activity without the spikes of a population, or with those of some of its neurons only.

    Examples
    --------
    >>> import brianlearn as bl
    >>> ledger = bl.energy_ledger(spec, learner.infer(state, test[:100], record="spikes"))  # doctest: +SKIP
    >>> ledger.picojoules  # doctest: +SKIP
    812345.6
    """
    table = table or EnergyTable()
    size = np.dtype(dtype).itemsize
    counts, samples = _spikes(spec, activity)
    entries: list[EnergyEntry] = []
    for p in (*spec.neurons, *spec.graph.readouts):
        for q in spec.onto(p.name):
            if q.source == ALWAYS:
                events = float(q.connectivity.n_synapses * spec.n_steps)
            else:
                fan_out = q.connection.fan_out(q.in_shape, q.out_shape)
                events = float(counts[q.source] @ fan_out) / samples
            current = q.source in spec.graph.currents
            entries.append(_entry(table, q.name, "synapses", events, 1, int(current), 0, 3 * size))
        if p.is_readout and spec.graph.tau_of(p.name) is None:
            continue
        updates = float(p.n * spec.n_steps)
        if isinstance(p.neuron, Neuron):
            adds, multiplies, functions = _operations(p.neuron, float(spec.dt))
            moved = 2 * size * len(p.neuron.parsed.state_names)
        else:
            adds, multiplies, functions, moved = 1, 1, 0, 2 * size
        entries.append(_entry(table, p.name, "neurons", updates, adds, multiplies, functions, moved))
    whole = sum(q.connectivity.n_synapses for q in (*spec.projections, *spec.readout_projections))
    dense = _entry(table, "artificial network", "synapses", float(whole), 1, 1, 0, 3 * size)
    spikes = sum(float(n.sum()) for name, n in counts.items() if name not in spec.graph.currents) / samples
    return EnergyLedger(tuple(entries), samples, spikes, dense, table)


def _spikes(spec: NetworkSpec, activity: Activity) -> tuple[dict[str, np.ndarray], int]:
    """Population -> spikes of each neuron in all samples that were recorded; and how many these are."""
    counts, trials = {}, set()
    for p in (*spec.graph.inputs, *spec.neurons):
        if p.name == ALWAYS:
            continue
        one: Raster | None = activity.spikes.get(p.name)
        if one is None or one.neurons is not None:
            raise DataError(
                OWNER,
                f"the spikes of {p.name!r} were not recorded, or not of all its neurons",
                got=", ".join(activity.spikes) or "no spikes",
                remedy='learner.infer(state, samples, record="spikes")',
            )
        counts[p.name] = np.bincount(one.neuron, minlength=p.n)
        trials.add(one.n_trials)
    if len(trials) != 1 or not max(trials):
        raise DataError(OWNER, "populations were recorded in other samples each", got=str(sorted(trials)))
    return counts, trials.pop()


def _entry(
    table: EnergyTable, name: str, kind: str, events: float, adds: int, multiplies: int, functions: int, moved: float
) -> EnergyEntry:
    """``adds`` and the others are those of one event."""
    each = dict(adds=adds, multiplies=multiplies, functions=functions, bytes=moved)
    cost = table.add * adds + table.multiply * multiplies + table.function * functions + table.byte * moved
    return EnergyEntry(name, kind, events, picojoules=cost * events, **{n: v * events for n, v in each.items()})


def _operations(neuron: Neuron, dt: float) -> tuple[int, int, int]:
    """Additions, multiplications and functions of one step of one neuron, as its statements say."""
    step = neuron_step(neuron, dt)
    text = step.update if step.update is not None else update_code(neuron)
    found = {"add": COMPARISON, "multiply": 0, "function": 0}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.BinOp):
            kinds: Mapping[type, str] = {ast.Add: "add", ast.Sub: "add", ast.Mult: "multiply"}
            found[kinds.get(type(node.op), "function")] += 1
        elif isinstance(node, ast.AugAssign | ast.Compare | ast.BoolOp):
            found["add"] += 1
        elif isinstance(node, ast.Call):
            found["function"] += 1
    return found["add"], found["multiply"], found["function"]
