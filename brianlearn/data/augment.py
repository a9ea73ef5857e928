"""Augmentation of training images by random changes that keep their class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brianlearn.errors import DataError, ShapeError
from brianlearn.spec.samples import Events, Samples

__all__ = ["RandomAffine"]

#: Where in a key's stream the draws begin: far from those of random encoders, which begin at 0.
_COUNTER = 2**192


@dataclass(frozen=True)
class RandomAffine:
    """A random rotation, scale, shear and shift of every image, new in every epoch.

    All are drawn from normal distributions around no change. The draw depends on the run's seed, the epoch and the
    sample only, so that a run that is resumed sees the same images.

    Parameters
    ----------
    rotation : float
        Standard deviation in degrees.
    scale : float
        Standard deviation of the logarithm of the magnification.
    shear : float
        Standard deviation of the horizontal shift per row, in columns.
    shift : float
        Standard deviation in pixels, along each axis.

    Examples
    --------
    >>> import numpy as np
    >>> import brianlearn as bl
    >>> image = np.zeros((1, 1, 5, 5))
    >>> image[0, 0, 2] = 1.0
    >>> keys = np.zeros((1, 2), np.uint64)
    >>> tilted = bl.RandomAffine(rotation=20)(bl.Samples(image, [3]), keys)
    >>> tilted.inputs.shape, tilted.labels.tolist()
    ((1, 1, 5, 5), [3])
    """

    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rotation", "scale", "shear", "shift"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < np.inf:
                raise DataError("RandomAffine", f"{name} is wrong", got=repr(value), expected="a finite number >= 0")

    def __call__(self, samples: Samples, keys: np.ndarray) -> Samples:
        """Change every image.

        Parameters
        ----------
        samples : Samples
            Values of shape (n, channels, height, width).
        keys : numpy.ndarray of uint64, shape (n, 2)
            See `LearnerState.sample_keys`.

        Returns
        -------
        Samples
            Same labels and ids; pixels between pixels are interpolated linearly, and 0 comes in from outside.

        Raises
        ------
        DataError, ShapeError
            Inputs that are no images.
        """
        from scipy.ndimage import affine_transform

        if isinstance(samples.inputs, Events):
            raise DataError("RandomAffine", "events are no images", expected="values (n, channels, height, width)")
        images = np.asarray(samples.inputs)
        if images.ndim != 4:
            raise ShapeError("RandomAffine", "inputs are no images", got=images.shape, expected="(n, channels, h, w)")
        changed = np.empty(images.shape, np.result_type(images.dtype, np.float32))
        middle = (np.array(images.shape[2:]) - 1) / 2
        for image, key, out in zip(images, keys, changed, strict=True):
            matrix, shift = self._draw(np.random.Generator(np.random.Philox(key=key, counter=_COUNTER)))
            # output pixel x shows the input at matrix (x - middle) + middle + shift
            offset = middle - matrix @ middle + shift
            for channel, result in zip(image, out, strict=True):
                affine_transform(channel, matrix, offset, output=result, order=1)
        return Samples(changed, samples.labels, samples.ids)

    def _draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        angle, scale, shear, *shift = rng.standard_normal(5)
        angle = np.deg2rad(self.rotation * angle)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        matrix = turn @ np.array([[1.0, 0.0], [self.shear * shear, 1.0]]) * np.exp(-self.scale * scale)
        return matrix, self.shift * np.array(shift)
