"""Data sets: named, found or downloaded, checked, as samples that a network takes."""

from brianlearn.data.augment import Augmentation, RandomAffine, RandomCrop
from brianlearn.data.dataset import DataSet
from brianlearn.data.events import EventCamera, RandomWindow, RawEvents, StoredEvents, denoised
from brianlearn.data.idx import read_idx, read_labelled_images
from brianlearn.data.registry import known_data
from brianlearn.data.source import DataSource, NamedData, load
from brianlearn.data.tonic_data import from_tonic
from brianlearn.error_hook import install
from brianlearn.named_arguments import name_arguments

__all__ = [
    "Augmentation",
    "DataSet",
    "DataSource",
    "EventCamera",
    "NamedData",
    "RandomAffine",
    "RandomCrop",
    "RandomWindow",
    "RawEvents",
    "StoredEvents",
    "denoised",
    "from_tonic",
    "known_data",
    "load",
    "read_idx",
    "read_labelled_images",
]

install()
name_arguments(globals())
