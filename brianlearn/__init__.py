"""Declare a deep spiking network once, as Brian2 equations with physical units, and teach it.

Names are imported when they are first used: ``import brianlearn`` itself imports nothing, so that
``brianlearn doctor`` can say what is wrong with an installation in which Brian2 cannot be imported.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from brianlearn.errors import (
    ArgumentError,
    BrianLearnError,
    BrianLearnWarning,
    DataError,
    DeviceError,
    EquationError,
    NonFiniteError,
    RuleError,
    RunFolderError,
    ShapeError,
    SpecError,
    UnitError,
    WeightsError,
    did_you_mean,
)

if TYPE_CHECKING:
    from brianlearn.cli import main
    from brianlearn.data import (
        DataSet,
        DataSource,
        EventCamera,
        RandomAffine,
        RandomCrop,
        RandomWindow,
        RawEvents,
        StoredEvents,
        known_data,
        load,
    )
    from brianlearn.discrete import DiscreteActivity, DiscreteNetwork, export
    from brianlearn.rules import (
        DALTON,
        SGD,
        STBP,
        TFR,
        Adam,
        CrossEntropy,
        FirstSpike,
        Hamming,
        LearnerState,
        Loss,
        Momentum,
        Optimiser,
        Pattern,
        RateMSE,
        ReadoutMSE,
        Regular,
        Rule,
        Silence,
        SpikeCount,
        SurrogateBPTT,
        Targets,
        ThreeFactorRule,
        VanRossum,
    )
    from brianlearn.spec import (
        LIF,
        Activity,
        AdaptiveLIF,
        ArcTan,
        Bernoulli,
        Connectivity,
        Conv,
        CubaLIF,
        DaltonIF,
        Dense,
        DirectCurrent,
        Encoder,
        Events,
        FastSigmoid,
        Gaussian,
        Input,
        IntegrateAndFire,
        IntegrateEvents,
        Latency,
        NetworkSpec,
        Neuron,
        NeuronStep,
        Normal,
        Parameter,
        Projection,
        Raster,
        Readout,
        Recordings,
        Rectangular,
        Samples,
        SequenceLIF,
        Sigmoid,
        Spikes,
        STBPNeuron,
        Surrogate,
        Triangular,
        Uniform,
        neuron_step,
    )
    from brianlearn.training import Evaluation, Experiment, Learner, Metrics, Result, evaluate

__version__ = "0.1.0"

#: Where public names come from, in the order in which they are looked for.
_SOURCES = (
    "brianlearn.spec",
    "brianlearn.rules",
    "brianlearn.training",
    "brianlearn.data",
    "brianlearn.cli",
    "brianlearn.discrete",
)
_SUBPACKAGES = ("brian", "data", "discrete", "report", "rules", "spec", "training")

__all__ = [
    "DALTON",
    "LIF",
    "SGD",
    "STBP",
    "TFR",
    "Activity",
    "Adam",
    "AdaptiveLIF",
    "ArcTan",
    "ArgumentError",
    "Bernoulli",
    "BrianLearnError",
    "BrianLearnWarning",
    "Connectivity",
    "Conv",
    "CrossEntropy",
    "CubaLIF",
    "DaltonIF",
    "DataError",
    "DataSet",
    "DataSource",
    "Dense",
    "DeviceError",
    "DirectCurrent",
    "DiscreteActivity",
    "DiscreteNetwork",
    "Encoder",
    "EquationError",
    "Evaluation",
    "EventCamera",
    "Events",
    "Experiment",
    "FastSigmoid",
    "FirstSpike",
    "Gaussian",
    "Hamming",
    "Input",
    "IntegrateAndFire",
    "IntegrateEvents",
    "Latency",
    "Learner",
    "LearnerState",
    "Loss",
    "Metrics",
    "Momentum",
    "NetworkSpec",
    "Neuron",
    "NeuronStep",
    "NonFiniteError",
    "Normal",
    "Optimiser",
    "Parameter",
    "Pattern",
    "Projection",
    "RandomAffine",
    "RandomCrop",
    "RandomWindow",
    "Raster",
    "RateMSE",
    "RawEvents",
    "Readout",
    "ReadoutMSE",
    "Recordings",
    "Rectangular",
    "Regular",
    "Result",
    "Rule",
    "RuleError",
    "RunFolderError",
    "STBPNeuron",
    "Samples",
    "SequenceLIF",
    "ShapeError",
    "Sigmoid",
    "Silence",
    "SpecError",
    "SpikeCount",
    "Spikes",
    "StoredEvents",
    "Surrogate",
    "SurrogateBPTT",
    "Targets",
    "ThreeFactorRule",
    "Triangular",
    "Uniform",
    "UnitError",
    "VanRossum",
    "WeightsError",
    "evaluate",
    "export",
    "known_data",
    "load",
    "main",
    "neuron_step",
]


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"brianlearn.{name}")
    if name in __all__:
        for source in _SOURCES:
            module = importlib.import_module(source)
            if name in module.__all__:
                globals()[name] = getattr(module, name)
                return globals()[name]
    near = None if name.startswith("_") else did_you_mean(name, __all__)
    raise AttributeError(f"module 'brianlearn' has no attribute {name!r}" + (f"; {near}" if near else ""))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBPACKAGES})
