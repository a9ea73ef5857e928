"""What a network is: neurons, layers, encoders. No engine, no learning."""

from brianlearn.error_hook import install
from brianlearn.named_arguments import name_arguments
from brianlearn.spec.connections import AllToAll, AvgPool2d, Connection, Conv2d, OneToOne, Sparse, SumPool2d
from brianlearn.spec.connectivity import Connectivity
from brianlearn.spec.encoders import (
    Bernoulli,
    DirectCurrent,
    Encoder,
    IntegrateAndFire,
    IntegrateEvents,
    Latency,
    Spikes,
)
from brianlearn.spec.fluctuations import FluctuationDriven
from brianlearn.spec.initial import Array, Constant, Init, Normal, Orthogonal, Uniform
from brianlearn.spec.layers import Conv, Dense, Input, Layer, Readout
from brianlearn.spec.network import NetworkSpec, Projection
from brianlearn.spec.neuron import Neuron
from brianlearn.spec.population import LinearReadout, Population
from brianlearn.spec.presets import LIF, AdaptiveLIF, CubaLIF, DaltonIF, SequenceLIF, STBPNeuron
from brianlearn.spec.samples import Activity, Events, Raster, Recordings, Samples
from brianlearn.spec.step import NeuronStep, Parameter, neuron_step
from brianlearn.spec.surrogates import ArcTan, FastSigmoid, Gaussian, Rectangular, Sigmoid, Surrogate, Triangular

__all__ = [
    "LIF",
    "Activity",
    "AdaptiveLIF",
    "AllToAll",
    "ArcTan",
    "Array",
    "AvgPool2d",
    "Bernoulli",
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
    "IntegrateAndFire",
    "IntegrateEvents",
    "Latency",
    "Layer",
    "LinearReadout",
    "NetworkSpec",
    "Neuron",
    "NeuronStep",
    "Normal",
    "OneToOne",
    "Orthogonal",
    "Parameter",
    "Population",
    "Projection",
    "Raster",
    "Readout",
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
    "Triangular",
    "Uniform",
    "neuron_step",
]

install()
name_arguments(globals())
