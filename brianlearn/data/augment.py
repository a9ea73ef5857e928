"""Augmentation of training samples by random changes that keep their class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from brianlearn.citing import papers
from brianlearn.errors import DataError, ShapeError
from brianlearn.network.checks import is_number
from brianlearn.network.samples.samples import Recordings, Samples
from brianlearn.network.storable import Storable

__all__ = ["Augmentation", "RandomAffine", "RandomCrop"]

#: Where in a key's stream the draws begin: far from those of random encoders, which begin at 0.
_COUNTER = 2**192


class Augmentation(Storable, ABC, abstract=True):
    """Base class of random changes: given samples and one random key for each, it returns changed samples.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> import brianlearn as bl
    >>> @dataclass(frozen=True)
    ... class Contrast(bl.Augmentation):
    ...     '''Each image as bright as chance will have it.'''
    ...     spread: float = 0.2
    ...
    ...     def __call__(self, samples, keys):
    ...         factors = [rng.normal(1, self.spread) for rng in self.draws(keys)]
    ...         images = self.images(samples)*np.reshape(factors, (-1, 1, 1, 1))
    ...         return bl.Samples(images.clip(0, 1), samples.targets, samples.ids)
    >>> samples = bl.Samples(np.ones((2, 1, 3, 3)), [0, 1])
    >>> Contrast()(samples, np.zeros((2, 2), np.uint64)).inputs.shape
    (2, 1, 3, 3)
    """

    @abstractmethod
    def __call__(self, samples: Samples, keys: np.ndarray) -> Samples:
        """Change samples.

        Parameters
        ----------
        samples : Samples
        keys : numpy.ndarray of uint64, shape (n, 2)
            One random key for each, of seed, epoch and sample: what is drawn from it (`draws`) is the same in a run
            that goes on.

        Returns
        -------
        Samples
            As many, in the same order.
        """

    def changed(self, samples: Samples, keys: np.ndarray) -> Samples:
        """The changed samples, checked.

        Parameters
        ----------
        samples : Samples
        keys : numpy.ndarray of uint64, shape (n, 2)
            One for each presentation.

        Returns
        -------
        Samples
            As many, in the same order.

        Raises
        ------
        DataError
            What are no samples, or not as many.
        """
        found = self(samples, keys)
        lost = isinstance(found, Samples) and found.targets is None and samples.targets is not None
        if not isinstance(found, Samples) or len(found) != len(samples) or lost:
            got = f"{len(found)} samples" if isinstance(found, Samples) else repr(found)[:200]
            raise DataError(
                type(self).__name__,
                "it does not return the samples, changed",
                got="no targets" if lost else got,
                expected=f"Samples, {len(samples)} of them, e.g. bl.Samples(inputs, samples.targets, samples.ids)",
            )
        return found

    def draws(self, keys: np.ndarray) -> list[np.random.Generator]:
        """A random generator for each presentation, from its key only.

        Parameters
        ----------
        keys : numpy.ndarray of uint64, shape (n, 2)

        Returns
        -------
        list of numpy.random.Generator
        """
        return [np.random.Generator(np.random.Philox(key=key, counter=_COUNTER)) for key in keys]

    def images(self, samples: Samples) -> np.ndarray:
        """Inputs that are images, shape (n, channels, height, width).

        Parameters
        ----------
        samples : Samples

        Returns
        -------
        numpy.ndarray

        Raises
        ------
        DataError, ShapeError
            Others.
        """
        owner = type(self).__name__
        if isinstance(samples.inputs, Recordings):
            raise DataError(owner, "events are no images", expected="values (n, channels, height, width)")
        images = np.asarray(samples.inputs)
        if images.ndim != 4:
            raise ShapeError(owner, "inputs are no images", got=images.shape, expected="(n, channels, h, w)")
        return images


@dataclass(frozen=True)
class RandomAffine(Augmentation):
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

    Raises
    ------
    DataError
        Numbers outside of what each can be.

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
            if not (is_number(value) and value >= 0):
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

        images = self.images(samples)
        changed = np.empty(images.shape, np.result_type(images.dtype, np.float32))
        middle = (np.array(images.shape[2:]) - 1) / 2
        for image, rng, out in zip(images, self.draws(keys), changed, strict=True):
            matrix, shift = self._draw(rng)
            # output pixel x shows the input at matrix (x - middle) + middle + shift
            offset = middle - matrix @ middle + shift
            for channel, result in zip(image, out, strict=True):
                affine_transform(channel, matrix, offset, output=result, order=1)
        return Samples(changed, samples.targets, samples.ids)

    def _draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        angle, scale, shear, *shift = rng.standard_normal(5)
        angle = np.deg2rad(self.rotation * angle)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        matrix = turn @ np.array([[1.0, 0.0], [self.shear * shear, 1.0]]) * np.exp(-self.scale * scale)
        return matrix, self.shift * np.array(shift)


@dataclass(frozen=True)
class RandomCrop(Augmentation):
    """A random crop, flip and rotation of every image, new in every epoch: how network A5 of the DALTON paper trains.

    The image is rotated by a uniform angle about its middle, padded with zeros, cropped to its own size at a uniform
    place, and mirrored left to right. The draw depends on the run's seed, the epoch and the sample only.

    Parameters
    ----------
    padding : int
        Pixels on each side; the image shifts by as many at most.
    flip : float
        Probability of a mirror image.
    rotation : float
        Largest angle in degrees, to either side.

    Raises
    ------
    DataError
        Padding that is no whole number >= 0; a flip that is no probability or not bool.

    References
    ----------
    R. Gaurav, D. A. Do, T. T. Doan, Y. Yi, DALTON: deep local learning in SNNs via local weights and
    surrogate-derivative transfer, IEEE Transactions on Emerging Topics in Computing 13(3), 2025,
    doi 10.1109/TETC.2024.3440932.

    Examples
    --------
    >>> import numpy as np
    >>> import brianlearn as bl
    >>> image = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> mirrored = bl.RandomCrop(padding=0, flip=1.0)(bl.Samples(image, [3]), np.zeros((1, 2), np.uint64))
    >>> mirrored.inputs[0, 0].tolist()
    [[1.0, 0.0], [3.0, 2.0]]
    """

    references = (papers.DALTON,)

    padding: int = 4
    flip: float = 0.5
    rotation: float = 0.0

    def __post_init__(self) -> None:
        for name, right, expected in (
            ("padding", is_number(self.padding) and self.padding >= 0 and self.padding % 1 == 0, "a whole number >= 0"),
            ("flip", is_number(self.flip) and 0 <= self.flip <= 1, "a probability in [0, 1]"),
            ("rotation", is_number(self.rotation) and 0 <= self.rotation <= 180, "degrees from 0 to 180"),
        ):
            if not right:
                raise DataError("RandomCrop", f"{name} is wrong", got=repr(getattr(self, name)), expected=expected)

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
            Same labels and ids.

        Raises
        ------
        DataError, ShapeError
            Inputs that are no images.
        """
        from scipy.ndimage import rotate

        images = self.images(samples)
        height, width = images.shape[2:]
        changed = np.empty(images.shape, np.result_type(images.dtype, np.float32))
        p = int(self.padding)
        for image, rng, out in zip(images, self.draws(keys), changed, strict=True):
            angle, flip = self.rotation * rng.uniform(-1, 1), rng.random() < self.flip
            top, left = rng.integers(0, 2 * p + 1, size=2)
            turned = rotate(image, angle, axes=(1, 2), reshape=False, order=1) if angle else image
            padded = np.pad(turned, ((0, 0), (p, p), (p, p)))[:, top : top + height, left : left + width]
            out[:] = padded[:, :, ::-1] if flip else padded
        return Samples(changed, samples.targets, samples.ids)
