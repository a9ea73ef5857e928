"""What learning is: rules and optimisers as frozen, validated descriptions. No engine code."""

from brianlearn.rules.engine import Engine, TrialRecord
from brianlearn.rules.optimisers import SGD, Adam, Momentum, Optimiser
from brianlearn.rules.state import LearnerState
from brianlearn.rules.three_factor import DALTON, TFR, ThreeFactorRule
from brianlearn.rules.weights import check_weights, initial_weights, weight_shapes

__all__ = [
    "DALTON",
    "SGD",
    "TFR",
    "Adam",
    "Engine",
    "LearnerState",
    "Momentum",
    "Optimiser",
    "ThreeFactorRule",
    "TrialRecord",
    "check_weights",
    "initial_weights",
    "weight_shapes",
]
