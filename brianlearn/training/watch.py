"""What looks wrong while a network runs and learns, though nothing fails: said once for each cause.

Each function gives the warnings for one kind of measurement. Their texts hold no numbers that change from one epoch to
the next, so that a cause is the same text wherever it is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from brianlearn.errors import BrianLearnWarning
from brianlearn.network.encoders import Encoder
from brianlearn.network.inputs import inputs_of, parts_of
from brianlearn.network.population import Population
from brianlearn.network.samples.samples import Recordings, Samples
from brianlearn.network.samples.targets import kind_of
from brianlearn.network.spec import NetworkSpec
from brianlearn.telling import tell

__all__ = ["Watch", "constant_readout", "firing_warnings", "input_warnings", "loss_warnings"]

#: Spikes per time step and neuron, on average, from which a layer fires in nearly every step.
NEARLY_EVERY_STEP = 0.9
#: Samples of a call that are looked at for the size of their values.
LOOKED_AT = 100
#: Samples from which a readout that is the same for all of them, or a layer without a spike, is no chance.
ENOUGH = 5
#: By how much a loss grows before it is said.
GROWTH = 100.0


def _unseen(warning: BrianLearnWarning) -> bool:
    return False


class Watch:
    """Says each cause once.

    Parameters
    ----------
    each_call : bool, optional
        Whether each call of a learner is judged by itself; a training run judges whole epochs instead.
    show : callable, optional
        Takes a warning; says whether a display shows it.

    Attributes
    ----------
    start : float or None
        The loss of the untrained network, where it is known.
    """

    def __init__(self, each_call: bool = True, show: Callable[[BrianLearnWarning], bool] = _unseen) -> None:
        self.each_call = each_call
        self._show = show
        self._said: set[str] = set()
        self.start: float | None = None

    def say(self, found: Iterable[BrianLearnWarning]) -> list[str]:
        """Say what has not been said; all of it, as text."""
        texts = []
        for warning in found:
            texts.append(str(warning))
            if str(warning) not in self._said:
                self._said.add(str(warning))
                tell(warning, shown=self._show(warning))
        return texts

    def loss(self, now: float) -> list[BrianLearnWarning]:
        """Judge a loss against that of the start."""
        return [] if self.start is None else loss_warnings(self.start, now)


def firing_warnings(spec: NetworkSpec, rates: Mapping[str, float]) -> list[BrianLearnWarning]:
    """Layers that did not fire, or in nearly every step.

    Parameters
    ----------
    spec : NetworkSpec
    rates : mapping
        Layer name -> mean rate in Hz per neuron.
    """
    found = []
    for name, rate in rates.items():
        encoder, given = spec.graph.by_name[name].neuron, spec.graph.by_name[name].is_input
        if isinstance(encoder, Encoder) and encoder.carries_values:  # values, no spikes
            continue
        output = spec.readout is None and name == spec.output
        subject = f"{name} (the output)" if output else name
        if rate == 0:
            problem = "silent: not one spike for any sample; nothing behind it can learn"
            if given:
                problem += " (are the inputs scaled to 0..1, and is the encoder's gain large enough?)"
            else:
                problem += " (larger initial weights or gains, or a lower threshold)"
        elif rate * float(spec.dt) >= NEARLY_EVERY_STEP:
            problem = "its neurons fire a spike in nearly every step, so that its spikes say nothing"
            problem += " (are the inputs scaled to 0..1?)" if given else " (smaller initial weights or inputs)"
        else:
            continue
        found.append(BrianLearnWarning(subject, problem))
    return found


def input_warnings(spec: NetworkSpec, samples: Samples) -> list[BrianLearnWarning]:
    """Values far outside of what the encoder expects, such as pixels from 0 to 255."""
    if len(samples) == 0:
        return []
    return [warning for p in spec.graph.fed for warning in _values_of(p, inputs_of(samples.inputs, p.name))]


def _values_of(p: Population, inputs: Any) -> list[BrianLearnWarning]:
    if isinstance(inputs, Recordings):
        return []
    encoder = p.neuron
    assert isinstance(encoder, Encoder)
    values = inputs[:LOOKED_AT]
    # the mean size of what is not 0: one outlier is no mistake of scale
    size = float(np.abs(values).sum(dtype=float)) / max(int(np.count_nonzero(values)), 1)
    gain = float(getattr(encoder, "gain", 1.0))
    if min(size, size * gain) <= encoder.largest_mean:
        return []
    kind = type(encoder).__name__ + ("" if gain == 1 else f" with a gain of {gain:g}")
    pixels = values.min() >= 0 and 64 < values.max() <= 255
    remedy = "are they pixels of 0 to 255? divide them by 255" if pixels else "scale them, or choose a smaller gain"
    about = 10.0 ** np.floor(np.log10(size))
    text = f"values far outside of what the encoder {kind} expects: of the order of {about:g} and not of 1; {remedy}"
    return [BrianLearnWarning(p.name, text)]


def constant_readout(spec: NetworkSpec, samples: Samples, logits: np.ndarray) -> list[BrianLearnWarning]:
    """An output that is the same for all samples.

    Parameters
    ----------
    logits : numpy.ndarray, shape (n, classes)
    """
    if len(logits) < ENOUGH or (logits != logits[0]).any() or kind_of(samples.targets) == "trains":
        return []  # trains may differ where their numbers of spikes do not
    parts = parts_of(samples.inputs).values()
    if not any(isinstance(part, Recordings) for part in parts) and all((part == part[0]).all() for part in parts):
        return []  # rightly so
    name = spec.output if spec.readout is not None else f"{spec.output} (the output)"
    return [
        BrianLearnWarning(
            name,
            "constant over all samples: the network tells nothing apart, and its accuracy is the share of one class",
        )
    ]


def loss_warnings(start: float, now: float) -> list[BrianLearnWarning]:
    """A loss that has grown by orders of magnitude."""
    if not 0 < start * GROWTH <= now:
        return []
    return [
        BrianLearnWarning(
            "loss",
            f"more than {GROWTH:g} times what it was at the start: learning diverges; lower the learning rate",
        )
    ]
