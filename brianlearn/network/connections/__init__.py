"""Kinds of connections between populations, one file each."""

from brianlearn.network.connections.all_to_all import AllToAll
from brianlearn.network.connections.base import Connection
from brianlearn.network.connections.bias import Bias
from brianlearn.network.connections.conv2d import Conv2d
from brianlearn.network.connections.one_to_one import OneToOne
from brianlearn.network.connections.pool2d import AvgPool2d, SumPool2d
from brianlearn.network.connections.pooled import Pooled
from brianlearn.network.connections.sparse import Sparse

__all__ = ["AllToAll", "AvgPool2d", "Bias", "Connection", "Conv2d", "OneToOne", "Pooled", "Sparse", "SumPool2d"]
