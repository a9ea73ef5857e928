"""What learning is: rules and optimisers as frozen, validated descriptions. No engine code."""

from brianlearn.error_hook import install
from brianlearn.named_arguments import name_arguments
from brianlearn.rules.base import Rule
from brianlearn.rules.decolle import DECOLLE
from brianlearn.rules.dfa import DFA
from brianlearn.rules.engine import Engine, TrialRecord
from brianlearn.rules.engine_settings import Brian, Discrete, EngineSettings
from brianlearn.rules.eprop import EProp
from brianlearn.rules.losses import CrossEntropy, Hamming, Loss, RateMSE, ReadoutMSE, SpikeCount, VanRossum
from brianlearn.rules.optimisers import (
    SGD,
    Adam,
    AdamW,
    Cosine,
    Exponential,
    Halving,
    Lion,
    Momentum,
    Optimiser,
    RMSprop,
    Schedule,
    WarmUp,
)
from brianlearn.rules.paths import Fixed, Path, Paths, Transpose
from brianlearn.rules.reward import Reward
from brianlearn.rules.state import LearnerState
from brianlearn.rules.stbp import STBP, BackPropagation, SurrogateBPTT
from brianlearn.rules.synaptic import SynapticRule
from brianlearn.rules.targets import FirstSpike, Pattern, Regular, Silence, Targets, Train
from brianlearn.rules.three_factor import DALTON, TFR, ThreeFactorRule
from brianlearn.rules.weights import check_weights, initial_weights, weight_shapes

__all__ = [
    "DALTON",
    "DECOLLE",
    "DFA",
    "SGD",
    "STBP",
    "TFR",
    "Adam",
    "AdamW",
    "BackPropagation",
    "Brian",
    "Cosine",
    "CrossEntropy",
    "Discrete",
    "EProp",
    "Engine",
    "EngineSettings",
    "Exponential",
    "FirstSpike",
    "Fixed",
    "Halving",
    "Hamming",
    "LearnerState",
    "Lion",
    "Loss",
    "Momentum",
    "Optimiser",
    "Path",
    "Paths",
    "Pattern",
    "RMSprop",
    "RateMSE",
    "ReadoutMSE",
    "Regular",
    "Reward",
    "Rule",
    "Schedule",
    "Silence",
    "SpikeCount",
    "SurrogateBPTT",
    "SynapticRule",
    "Targets",
    "ThreeFactorRule",
    "Train",
    "Transpose",
    "TrialRecord",
    "VanRossum",
    "WarmUp",
    "check_weights",
    "initial_weights",
    "weight_shapes",
]

install()
name_arguments(globals())
