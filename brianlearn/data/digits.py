"""The digits of scikit-learn: small, built in, no download."""

from __future__ import annotations

import numpy as np

from brianlearn.data.dataset import DataSet
from brianlearn.network.samples.samples import Samples

__all__ = ["TEST_SAMPLES", "load_digits"]

#: The last ones of the 1797 are the test samples.
TEST_SAMPLES = 360


def load_digits() -> DataSet:
    """1797 handwritten digits of 8 x 8 pixels in 17 grey levels (Alpaydin & Kaynak 1998, UCI), scaled to [0, 1].

    Returns
    -------
    DataSet
        Inputs float32, shape (n, 1, 8, 8). The last 360 are the test samples.
    """
    from sklearn.datasets import load_digits as sklearn_digits

    bunch = sklearn_digits()
    inputs = (bunch.images / 16.0).astype(np.float32)[:, None]
    labels, ids = bunch.target, np.arange(len(inputs))
    train, test = slice(None, -TEST_SAMPLES), slice(-TEST_SAMPLES, None)
    return DataSet(
        "digits",
        Samples(inputs[train], labels[train], ids[train]),
        Samples(inputs[test], labels[test], ids[test]),
        tuple(map(str, range(10))),
    )
