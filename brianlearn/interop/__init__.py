"""Recordings as objects of other packages, and from them; these are imported when they are asked for."""

from brianlearn.error_hook import install
from brianlearn.interop.neo_objects import to_neo
from brianlearn.interop.pynapple_objects import to_pynapple
from brianlearn.interop.recorded_sweeps import sweeps_from_neo, sweeps_from_nwb
from brianlearn.named_arguments import name_arguments

__all__ = ["sweeps_from_neo", "sweeps_from_nwb", "to_neo", "to_pynapple"]

install()
name_arguments(globals())
