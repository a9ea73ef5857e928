"""Engine 1: spec and rule as Brian2 objects, on numpy, cython and standalone C++."""

from brianlearn.brian.describe import describe
from brianlearn.brian.engine import BrianEngine
from brianlearn.brian.export.plain_objects import to_brian2
from brianlearn.error_hook import install
from brianlearn.machine.devices import DEVICES, resolve_device
from brianlearn.named_arguments import name_arguments

__all__ = ["DEVICES", "BrianEngine", "describe", "resolve_device", "to_brian2"]

install()
name_arguments(globals())
