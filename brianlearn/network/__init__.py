"""What a network is: neurons, layers, encoders. No engine, no learning."""

from typing import TYPE_CHECKING

from brianlearn.error_hook import install
from brianlearn.named_arguments import name_arguments
from brianlearn.network.connections import AllToAll, AvgPool2d, Connection, Conv2d, OneToOne, Pooled, Sparse, SumPool2d
from brianlearn.network.connectivity import Connectivity
from brianlearn.network.encoders import (
    DirectCurrent,
    Encoder,
    IntegrateAndFireEncoder,
    IntegrateEvents,
    PoissonEncoder,
    Spikes,
    TimeToFirstSpikeEncoder,
)
from brianlearn.network.fluctuations import FluctuationDriven
from brianlearn.network.initial import Array, Constant, Init, Normal, Orthogonal, Uniform
from brianlearn.network.layers import Conv, Dense, Input, Layer, Readout
from brianlearn.network.learned_delays import LearnedDelays
from brianlearn.network.neurons.learned import Learned
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.neurons.presets import LIF, AdaptiveLIF, CubaLIF, DaltonIF, SequenceLIF, STBPNeuron
from brianlearn.network.neurons.step import NeuronStep, Parameter, neuron_step
from brianlearn.network.neurons.surrogates import (
    ArcTan,
    FastSigmoid,
    Gaussian,
    Rectangular,
    Sigmoid,
    Surrogate,
    Triangular,
)
from brianlearn.network.own_spikes import PoissonBackground
from brianlearn.network.population import LinearReadout, Population
from brianlearn.network.record import Record, Recorded
from brianlearn.network.samples.samples import Activity, Events, Raster, Recordings, Samples
from brianlearn.network.samples.sweeps import Sweeps
from brianlearn.network.spec import NetworkSpec, Projection
from brianlearn.renamed import old_names

__all__ = [
    "LIF",
    "Activity",
    "AdaptiveLIF",
    "AllToAll",
    "ArcTan",
    "Array",
    "AvgPool2d",
    "Connection",
    "Connectivity",
    "Constant",
    "Conv",
    "Conv2d",
    "CubaLIF",
    "DaltonIF",
    "Dense",
    "DirectCurrent",
    "Encoder",
    "Events",
    "FastSigmoid",
    "FluctuationDriven",
    "Gaussian",
    "Init",
    "Input",
    "IntegrateAndFireEncoder",
    "IntegrateEvents",
    "Layer",
    "Learned",
    "LearnedDelays",
    "LinearReadout",
    "NetworkSpec",
    "Neuron",
    "NeuronStep",
    "Normal",
    "OneToOne",
    "Orthogonal",
    "Parameter",
    "PoissonBackground",
    "PoissonEncoder",
    "Pooled",
    "Population",
    "Projection",
    "Raster",
    "Readout",
    "Record",
    "Recorded",
    "Recordings",
    "Rectangular",
    "STBPNeuron",
    "Samples",
    "SequenceLIF",
    "Sigmoid",
    "Sparse",
    "Spikes",
    "SumPool2d",
    "Surrogate",
    "Sweeps",
    "TimeToFirstSpikeEncoder",
    "Triangular",
    "Uniform",
    "neuron_step",
]

install()
name_arguments(globals())
if not TYPE_CHECKING:  # a type checker should know no other names than those above
    __getattr__ = old_names(__name__)
