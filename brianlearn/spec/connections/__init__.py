"""Kinds of connections between populations, one file each."""

from brianlearn.spec.connections.all_to_all import AllToAll
from brianlearn.spec.connections.base import Connection
from brianlearn.spec.connections.conv2d import Conv2d
from brianlearn.spec.connections.one_to_one import OneToOne
from brianlearn.spec.connections.pool2d import AvgPool2d, SumPool2d
from brianlearn.spec.connections.sparse import Sparse

__all__ = ["AllToAll", "AvgPool2d", "Connection", "Conv2d", "OneToOne", "Sparse", "SumPool2d"]
