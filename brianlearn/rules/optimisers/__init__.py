"""Optimisers: from the gradient of a batch to a weight change, with learning-rate schedules and clipping."""

from brianlearn.rules.optimisers.adam import Adam, AdamW
from brianlearn.rules.optimisers.base import Optimiser
from brianlearn.rules.optimisers.lion import Lion
from brianlearn.rules.optimisers.rmsprop import RMSprop
from brianlearn.rules.optimisers.schedules import Cosine, Exponential, Halving, Schedule, WarmUp
from brianlearn.rules.optimisers.sgd import SGD, Momentum

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
