"""Networks and recordings as objects and files of other packages, and from them; these are imported when asked for."""

from brianlearn.error_hook import install
from brianlearn.interop.neo_objects import to_neo
from brianlearn.interop.nir import from_nir, to_nir
from brianlearn.interop.nwb_files import to_nwb
from brianlearn.interop.pynapple_objects import to_pynapple
from brianlearn.interop.recorded_sweeps import sweeps_from_neo, sweeps_from_nwb
from brianlearn.interop.spike_trains import events_from_neo, events_from_nwb
from brianlearn.named_arguments import name_arguments

__all__ = [
    "events_from_neo",
    "events_from_nwb",
    "from_nir",
    "sweeps_from_neo",
    "sweeps_from_nwb",
    "to_neo",
    "to_nir",
    "to_nwb",
    "to_pynapple",
]

install()
name_arguments(globals())
