"""The networks of the comparison with other libraries, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    """Convolutions (channels, kernel) each with an average pool of 2, then dense layers, which may hear themselves.

    Attributes
    ----------
    title : str
    shape : tuple of int
        (channels, height, width) of the input.
    convolutions : tuple of (int, int)
    dense : tuple of int
    steps, batch : int
    classes : int
    recurrent : float
        Share of the connections of a dense layer to itself, after one step: 0 for none.
    """

    title: str
    shape: tuple[int, int, int]
    convolutions: tuple[tuple[int, int], ...]
    dense: tuple[int, ...]
    steps: int
    batch: int
    classes: int = 10
    recurrent: float = 0.0

    def sizes(self) -> list[tuple[tuple[int, int, int], tuple[int, int, int]]]:
        """Shapes before and after each convolution with its pool."""
        shapes, shape = [], self.shape
        for channels, kernel in self.convolutions:
            after = (channels, (shape[1] - kernel + 1) // 2, (shape[2] - kernel + 1) // 2)
            shapes.append((shape, after))
            shape = after
        return shapes

    def flops(self) -> float:
        """Floating-point operations of the matrix products of a training step, pools folded into convolutions.

        Forward, the gradient of the weights, and the gradient of the inputs but for the first layer. Connections of a
        layer to itself count as products too, those that are there.
        """
        macs = []
        shape = self.shape
        for (before, after), (channels, kernel) in zip(self.sizes(), self.convolutions, strict=True):
            folded = min((kernel + 1) ** 2, 4 * kernel**2)
            macs.append(after[1] * after[2] * channels * before[0] * folded)
            shape = after
        n = shape[0] * shape[1] * shape[2]
        for k, size in enumerate((*self.dense, self.classes)):
            own = self.recurrent * size * size if k < len(self.dense) else 0
            macs.append(n * size + own)
            n = size
        return 2.0 * self.steps * self.batch * (3 * sum(macs) - macs[0])


NETWORKS = {
    "a1": Network("A1: 16c3p2-128-64-10, 28x28, T=40, B=64", (1, 28, 28), ((16, 3),), (128, 64), 40, 64),
    "a1-250": Network("A1, B=250", (1, 28, 28), ((16, 3),), (128, 64), 40, 250),
    "events": Network("12c5p2-64c5p2-10, 34x34x2, T=25, B=64", (2, 34, 34), ((12, 5), (64, 5)), (), 25, 64),
    "tiny": Network("4c3p2-20-10, 12x12, T=5, B=4, to try the script", (1, 12, 12), ((4, 3),), (20,), 5, 4),
    "shd": Network("700-256r-20, T=100, B=128", (700, 1, 1), (), (256,), 100, 128, 20, 1.0),
    "shd-250": Network("700-256r-20, T=250, B=128", (700, 1, 1), (), (256,), 250, 128, 20, 1.0),
    "balanced": Network(
        "100-1000r-2, 10 % of the connections, T=1000, B=16", (100, 1, 1), (), (1000,), 1000, 16, 2, 0.1
    ),
    "dense": Network("784-512-256-10, T=25, B=128", (1, 28, 28), (), (512, 256), 25, 128),
}
