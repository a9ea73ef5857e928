"""What learning is: rules and optimisers as frozen, validated descriptions. No engine code."""

from typing import TYPE_CHECKING

from brianlearn.error_hook import install
from brianlearn.learning.engine import Engine, TrialRecord
from brianlearn.learning.engine_settings import Brian, Discrete, EngineSettings
from brianlearn.learning.losses import CrossEntropy, Hamming, Loss, RateMSE, ReadoutMSE, SpikeCount, VanRossum
from brianlearn.learning.optimisers import (
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
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.rules.decolle import DECOLLE
from brianlearn.learning.rules.dfa import DFA
from brianlearn.learning.rules.eprop import EProp
from brianlearn.learning.rules.paths import Fixed, Path, Paths, Transpose
from brianlearn.learning.rules.reward import Reward
from brianlearn.learning.rules.stbp import STBP, BackPropagation, SurrogateBPTT
from brianlearn.learning.rules.synaptic import SynapticRule
from brianlearn.learning.rules.three_factor import DALTON, TFR, ThreeFactorRule
from brianlearn.learning.state import LearnerState
from brianlearn.learning.targets import FirstSpike, Pattern, Regular, Silence, SpikeTrain, Targets
from brianlearn.learning.trace_mse import TraceMSE
from brianlearn.learning.value_losses import MAE, MSE, Huber
from brianlearn.learning.van_rossum import van_rossum
from brianlearn.learning.victor_purpura import victor_purpura
from brianlearn.learning.weights import check_weights, initial_weights, weight_shapes
from brianlearn.named_arguments import name_arguments
from brianlearn.renamed import old_names

__all__ = [
    "DALTON",
    "DECOLLE",
    "DFA",
    "MAE",
    "MSE",
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
    "Huber",
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
    "SpikeTrain",
    "SurrogateBPTT",
    "SynapticRule",
    "Targets",
    "ThreeFactorRule",
    "TraceMSE",
    "Transpose",
    "TrialRecord",
    "VanRossum",
    "WarmUp",
    "check_weights",
    "initial_weights",
    "van_rossum",
    "victor_purpura",
    "weight_shapes",
]

install()
name_arguments(globals())
if not TYPE_CHECKING:  # a type checker should know no other names than those above
    __getattr__ = old_names(__name__)
