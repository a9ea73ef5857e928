"""Optimisers: from the gradient of a batch to a weight change, with learning-rate schedules and clipping."""

from brianlearn.learning.optimisers.adam import Adam, AdamW
from brianlearn.learning.optimisers.base import Optimiser
from brianlearn.learning.optimisers.lion import Lion
from brianlearn.learning.optimisers.rmsprop import RMSprop
from brianlearn.learning.optimisers.schedules import Cosine, Exponential, Halving, Schedule, WarmUp
from brianlearn.learning.optimisers.sgd import SGD, Momentum

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Cosine",
    "Exponential",
    "Halving",
    "Lion",
    "Momentum",
    "Optimiser",
    "RMSprop",
    "Schedule",
    "WarmUp",
]
