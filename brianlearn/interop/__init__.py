"""Recordings as objects of other packages, which are imported when they are asked for."""

from brianlearn.error_hook import install
from brianlearn.interop.neo_objects import to_neo
from brianlearn.interop.pynapple_objects import to_pynapple
from brianlearn.named_arguments import name_arguments

__all__ = ["to_neo", "to_pynapple"]

install()
name_arguments(globals())
