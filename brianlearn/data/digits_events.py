"""``digits_events``: the digits of scikit-learn before a simulated event camera; built in, no download."""

from __future__ import annotations

import numpy as np

from brianlearn.data.dataset import DataSet
from brianlearn.data.digits import load_digits
from brianlearn.data.events.camera import EventCamera
from brianlearn.data.events.pipeline import Pipeline
from brianlearn.network.samples.samples import Events, Samples

__all__ = ["CAMERA", "load_digits_events"]

#: 16 x 16 pixels, three saccades in 60 ms.
CAMERA = EventCamera()


def load_digits_events(pipeline: Pipeline, camera: EventCamera = CAMERA) -> DataSet:
    """1797 handwritten digits (see `load_digits`) as events of a simulated camera that makes three saccades.

    Parameters
    ----------
    pipeline : Pipeline
        For a camera of this size.
    camera : EventCamera, optional

    Returns
    -------
    DataSet
        `Events` in memory. The last 360 are the test samples, written by other people than the rest.
    """
    digits = load_digits()
    parts = []
    for samples in (digits.train, digits.test):
        recordings = camera.record(samples.inputs[:, 0], samples.ids)
        codes = [pipeline.codes(events) for events in recordings]
        step, neuron = np.divmod(np.concatenate(codes), int(np.prod(pipeline.shape)))
        offsets = np.cumsum([0, *(len(code) for code in codes)])
        parts.append(Samples(Events(step, neuron, offsets, pipeline.shape), samples.labels, samples.ids))
    return DataSet("digits_events", parts[0], parts[1], digits.classes)
