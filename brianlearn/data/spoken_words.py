"""``spoken_words``: words of four vowels before a simulated cochlea; built in, no download.

The words are the orders of the same four vowels. How much each channel fires tells nothing of the word: a network has
to know which vowel came when.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from brianlearn.data.dataset import DataSet
from brianlearn.errors import DataError
from brianlearn.network.samples.samples import Events, Samples

__all__ = ["CHANNELS", "COCHLEA", "FORMANTS", "WORDS", "Cochlea", "load_spoken_words"]

#: As many as in the Heidelberg data sets.
CHANNELS = 700
#: Hz; the first three formants of men (Peterson & Barney 1952, table II).
FORMANTS = {"i": (270, 2290, 3010), "a": (730, 1090, 2440), "u": (300, 870, 2240), "er": (490, 1350, 1690)}
#: Hz; of the neutral vowel that each glides from.
NEUTRAL = (500, 1500, 2500)
#: The first 20 of the 24 orders.
WORDS = tuple(itertools.islice(itertools.permutations(FORMANTS), 20))
#: The rate of hair cells when a vowel begins: so many times more, and the seconds in which they adapt.
ONSET, ADAPTS = 2.0, 0.02
#: Of whom the last ones are heard in the test alone.
SPEAKERS, TEST_SPEAKERS = 20, 4
#: How often each speaker says each word.
REPEATS = 5


@dataclass(frozen=True)
class Cochlea:
    """A model cochlea that hears words of four vowels.

    A vowel is three formants, which glide from their places in a neutral vowel to those of this one. Each excites the
    channels around its place on the basilar membrane, with the width of an auditory filter, most strongly when the
    vowel begins (hair cells adapt). Between vowels there is silence, as while a stop consonant closes the mouth. Spikes
    are drawn at these rates, and spontaneous ones in all channels. Speakers differ in the length of their vocal tracts,
    which scales all formants, and in their pace; what one of them says differs each time in formants, pace, the length
    of each sound, its onset and its loudness.

    Parameters
    ----------
    vowel : float
        Seconds that a vowel lasts, in the mean.
    closure : float
        Seconds without sound between two vowels, in the mean.
    glide : float
        Seconds in which formants reach their places.
    rate : float
        Spikes per second that a formant causes, in all channels together, when hair cells have adapted.
    spontaneous : float
        Spikes per second of each channel.
    width : float
        Standard deviation of what a formant excites, in channels: an auditory filter is 0.9 mm of 35 mm wide.
    seed : int
        Of speakers and spikes.

    Raises
    ------
    DataError
        Settings that cannot be right.

    References
    ----------
    G. E. Peterson, H. L. Barney, Control methods used in a study of the vowels, J. Acoust. Soc. Am. 24, 1952.
    D. D. Greenwood, A cochlear frequency-position function for several species, J. Acoust. Soc. Am. 87, 1990.

    Examples
    --------
    >>> import numpy as np
    >>> heard = Cochlea().hear(np.array([0, 1]), np.array([0, 0]), dt=1e-3)
    >>> len(heard), heard.shape
    (2, (1, 1, 700))
    """

    vowel: float = 0.1
    closure: float = 0.08
    glide: float = 0.03
    rate: float = 500.0
    spontaneous: float = 0.5
    width: float = 9.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, right in (
            *((name, getattr(self, name) > 0) for name in ("vowel", "rate", "width")),
            *((name, getattr(self, name) >= 0) for name in ("closure", "glide", "spontaneous", "seed")),
        ):
            if not right:
                raise DataError("Cochlea", f"{name} is out of range", got=getattr(self, name), expected="more")

    def hear(self, word: np.ndarray, speaker: np.ndarray, dt: float) -> Events:
        """The spikes of words.

        Parameters
        ----------
        word, speaker : numpy.ndarray of int, shape (n,)
            Position in `WORDS`; number of the speaker, below `SPEAKERS`. What is drawn depends on all of them.
        dt : float
            Time step, in seconds.

        Returns
        -------
        Events
            Of shape (1, 1, 700), from low to high frequencies.
        """
        rng = np.random.default_rng(self.seed)
        places, begins, lasts, loudness = self._said(word, speaker, rng)
        n, of_word, formants = len(word), places[0].size, places.shape[2]
        # of the rate 1 + ONSET*exp(-since/ADAPTS): the spikes of the first term, and those of the second
        steady = rng.poisson((self.rate * loudness * lasts)[:, :, None], places.shape).ravel()
        onset = rng.poisson((self.rate * loudness * ONSET * ADAPTS)[:, :, None], places.shape).ravel()
        which = np.concatenate([np.repeat(np.arange(places.size), count) for count in (steady, onset)])
        vowel = which // formants
        since = rng.random(steady.sum()) * lasts.ravel()[vowel[: steady.sum()]]
        since = np.concatenate([since, rng.exponential(ADAPTS, onset.sum())])
        left = (1 - since / self.glide).clip(0) if self.glide else 0.0
        centre = places.ravel()[which]
        centre = centre + left * (place(np.array(NEUTRAL))[which % formants] - centre)
        channel = np.rint(rng.normal(centre, self.width)).astype(np.int64)

        ends = begins[:, -1] + lasts[:, -1]
        noise = np.repeat(np.arange(n), rng.poisson(self.spontaneous * CHANNELS * ends))
        sample = np.concatenate([which // of_word, noise])
        time = np.concatenate([begins.ravel()[vowel] + since, ends[noise] * rng.random(len(noise))])
        channel = np.concatenate([channel, rng.integers(0, CHANNELS, len(noise))])
        heard = (channel >= 0) & (channel < CHANNELS)
        step = (time / dt).astype(np.int64)
        steps = step.max(initial=0) + 1
        code = np.sort((sample[heard] * steps + step[heard]) * CHANNELS + channel[heard])
        offsets = np.searchsorted(code, np.arange(n + 1) * steps * CHANNELS)
        return Events(code // CHANNELS % steps, code % CHANNELS, offsets, (1, 1, CHANNELS))

    def _said(
        self, word: np.ndarray, speaker: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Places of formants (n, vowels, formants), beginnings and lengths (n, vowels) and loudness (n, 1)."""
        tract, pace = rng.normal(1.0, 0.04, SPEAKERS), rng.normal(1.0, 0.1, SPEAKERS)
        vowels = np.array([[list(FORMANTS).index(name) for name in each] for each in WORDS])[word]
        formants = np.array(list(FORMANTS.values()))[vowels] * tract[speaker, None, None]
        places = place(formants * rng.normal(1.0, 0.02, formants.shape))
        pace = (pace[speaker] * rng.normal(1.0, 0.05, len(word)))[:, None]
        lasts, silent = (
            mean * (pace * rng.normal(1.0, 0.08, vowels.shape)).clip(1 / 3, 2) for mean in (self.vowel, self.closure)
        )
        begins = rng.uniform(0.0, 0.06, (len(word), 1)) + np.cumsum(lasts + silent, axis=1) - lasts - silent
        return places, begins, lasts, rng.uniform(0.8, 1.2, (len(word), 1))


COCHLEA = Cochlea()


def place(frequency: np.ndarray) -> np.ndarray:
    """Where on the basilar membrane a frequency excites most, in channels from its apex (Greenwood 1990, for people).

    Parameters
    ----------
    frequency : numpy.ndarray
        Hz.

    Returns
    -------
    numpy.ndarray
    """
    return np.asarray((CHANNELS - 1) * np.log10(frequency / 165.4 + 0.88) / 2.1)


def load_spoken_words(dt: float, cochlea: Cochlea = COCHLEA) -> DataSet:
    """2000 spoken words of 20 classes, as spikes of 700 channels of a model cochlea.

    Parameters
    ----------
    dt : float
        Time step, in seconds.
    cochlea : Cochlea, optional

    Returns
    -------
    DataSet
        `Events` in memory, of shape (1, 1, 700) and about 0.7 s. The last 400 are the test samples, said by others.
    """
    speaker, word = (index.ravel() for index in np.indices((SPEAKERS, len(WORDS) * REPEATS)))
    word = word % len(WORDS)
    every = Samples(cochlea.hear(word, speaker, dt), word)
    test = len(word) * TEST_SPEAKERS // SPEAKERS
    names = tuple("-".join(each) for each in WORDS)
    return DataSet("spoken_words", every[:-test], every[-test:], names)
