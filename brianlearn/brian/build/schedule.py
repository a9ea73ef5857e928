"""The order of slots within one time step.

Brian2 runs the objects of a time step slot by slot (``Network.schedule``). Same-step timing gives every layer slots of
its own, so that a spike reaches the next layer within the step in which it was fired. The timing of Brian2 has the same
slots in the order of Brian2's own schedule: all integrate, all fire, spikes are delivered, all are reset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["Schedule", "meaning"]

#: Brian2 raises an error when its own slots are missing.
_DEFAULTS = ("groups", "thresholds", "synapses", "resets")


@dataclass(frozen=True)
class Schedule:
    """Slots of same-step timing, and of the timing of Brian2.

    Attributes
    ----------
    layers : tuple of str
        Names of the populations that fire, each behind those that it hears.
    inputs : tuple of str
        Names of the inputs.
    late : mapping
        Groups that repeat what others fired, after a delay -> the population that they repeat, where some of it is
        repeated within the step; else "".
    as_brian2 : bool
        Whether they are in the order of Brian2's own schedule.
    """

    layers: tuple[str, ...]
    inputs: tuple[str, ...] = ("input",)
    late: Mapping[str, str] = field(default_factory=dict)
    as_brian2: bool = False

    def slots(self) -> list[str]:
        """All slots in order."""
        return list(self._slots())

    def _slots(self) -> Iterator[str]:
        yield "start"
        yield from _DEFAULTS
        yield from self._as_brian2() if self.as_brian2 else self._same_step()
        for part in ("decay", "deliver", "error"):
            yield f"readout_{part}"
        for layer in reversed(self.layers):
            yield f"{layer}_feedback"
        yield "plasticity"
        yield "optimise"
        yield "end"

    def _same_step(self) -> Iterator[str]:
        """One population after the other."""
        for name in self._repeating(""):
            yield f"{name}_threshold"
            yield f"{name}_reset"
        for population in (*self.inputs, *self.layers):
            parts = ("integrate", "threshold", "reset")
            for part in parts if population in self.inputs else ("deliver", *parts):
                yield f"{population}_{part}"
            for name in self._repeating(population):
                for part in ("arrive", "threshold", "reset"):
                    yield f"{name}_{part}"

    def _as_brian2(self) -> Iterator[str]:
        """All populations at once: Brian2's slots groups, thresholds, synapses and resets."""
        fire = (*self.inputs, *self.layers)
        at_once = [name for name, source in self.late.items() if source]
        for part, names in (
            ("integrate", fire),
            ("threshold", (*self._repeating(""), *fire)),
            ("arrive", at_once),
            ("threshold", at_once),
            ("deliver", self.layers),
            ("reset", (*self.late, *fire)),
        ):
            for name in names:
                yield f"{name}_{part}"

    def _repeating(self, source: str) -> list[str]:
        """The late groups that repeat a population within the step; ``""``: those that repeat none so."""
        return [name for name, of in self.late.items() if of == source]


def meaning(slot: str) -> str:
    """What happens in a slot, for `describe`."""
    parts = {
        "arrive": "spikes that were fired a delay ago",
        "deliver": "spikes of this step add their weight",
        "integrate": "state update, floor, surrogate derivative",
        "threshold": "spikes",
        "reset": "reset after a spike",
        "feedback": "third factor L and error delta",
        "decay": "readout decays",
        "error": "error against the label, sums for the metrics",
        "plasticity": "presynaptic spikes change weights or add to the gradient",
        "optimise": "weight update in every step",
        "start": "trial reset, weight update after a batch",
        "end": "recordings",
        # those of pipelined timing
        "before_synapses": "third factor L from the stored errors of the layer above",
        "synapses": "spikes of the step before deliver, and change weights by the stored error",
        "groups": "stored error delta; then state update, floor, surrogate derivative",
        "thresholds": "spikes",
        "resets": "reset after a spike",
    }
    if slot in parts:
        return parts[slot]
    return parts.get(slot.rpartition("_")[2], "")
