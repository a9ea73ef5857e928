"""``channel_orders``: spikes whose relative times alone tell the class; built in, no download.

In every sample each channel fires once, one channel at a time. Classes are orders in which they do. A neuron without
memory that hears all channels at once hears the same in all classes: one spike after the other. What arrives together
after different delays tells an order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brianlearn.data.dataset import DataSet
from brianlearn.errors import DataError
from brianlearn.network.samples.samples import Events, Samples

__all__ = ["CHANNELS", "CLASSES", "ORDERS", "Orders", "load_channel_orders"]

CHANNELS, CLASSES = 8, 10
#: Samples of a class; of these the last ones are for tests.
EACH, TEST_EACH = 150, 50


@dataclass(frozen=True)
class Orders:
    """Draws samples.

    Parameters
    ----------
    gap : float
        Seconds from the spike of one channel to that of the next one.
    jitter : float
        Standard deviation of each spike's time, in seconds.
    onset : float
        The first spike comes at a random time up to this one, in seconds.
    seed : int
        Of the orders, and of samples.

    Raises
    ------
    DataError
        Settings that cannot be right.

    Examples
    --------
    >>> import numpy as np
    >>> spikes = Orders().draw(np.array([0, 1]), dt=1e-3)
    >>> len(spikes), spikes.shape
    (2, (8,))
    """

    gap: float = 12e-3
    jitter: float = 0.5e-3
    onset: float = 20e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("gap", "jitter", "onset", "seed"):
            value = getattr(self, name)
            if not (value >= 0 and (value > 0 or name != "gap")):
                raise DataError("Orders", f"{name} is out of range", got=value, expected="more")

    @property
    def orders(self) -> np.ndarray:
        """Of each class: which channel fires first, second, ...; shape (classes, channels)."""
        rng = np.random.default_rng([self.seed, 0])
        return np.array([rng.permutation(CHANNELS) for _ in range(CLASSES)])

    def draw(self, labels: np.ndarray, dt: float) -> Events:
        """One sample for each label.

        Parameters
        ----------
        labels : numpy.ndarray of int, shape (n,)
        dt : float
            Time step, in seconds.

        Returns
        -------
        Events
            Of shape (8,).
        """
        rng, n = np.random.default_rng([self.seed, 1]), len(labels)
        begin = self.gap / 2 + rng.uniform(0, self.onset, (n, 1))
        away = rng.normal(0, self.jitter, (n, CHANNELS)).clip(-self.gap / 4, self.gap / 4)
        step = ((begin + self.gap * np.arange(CHANNELS) + away) / dt).astype(np.int64)
        return Events(step.ravel(), self.orders[labels].ravel(), CHANNELS * np.arange(n + 1), (CHANNELS,))


ORDERS = Orders()


def load_channel_orders(dt: float, orders: Orders = ORDERS) -> DataSet:
    """1500 samples of 10 classes, as spikes of 8 channels.

    Parameters
    ----------
    dt : float
        Time step, in seconds.
    orders : Orders, optional

    Returns
    -------
    DataSet
        `Events` in memory, of shape (8,) and about 0.11 s. The last 500 are the test samples.
    """
    labels = np.arange(CLASSES * EACH) % CLASSES
    every, test = Samples(orders.draw(labels, dt), labels), CLASSES * TEST_EACH
    names = tuple("-".join(map(str, order)) for order in orders.orders)
    return DataSet("channel_orders", every[:-test], every[-test:], names)
