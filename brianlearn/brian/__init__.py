"""Engine 1: spec and rule as Brian2 objects, on numpy, cython and standalone C++."""

from brianlearn.brian.describe import describe
from brianlearn.brian.engine import BrianEngine
from brianlearn.brian.export.plain_objects import to_brian2
from brianlearn.machine.devices import DEVICES, resolve_device

__all__ = ["DEVICES", "BrianEngine", "describe", "resolve_device", "to_brian2"]
