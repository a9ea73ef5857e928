"""Data sets: named, found or downloaded, checked, as samples that a network takes."""

from brianlearn.data.augment import RandomAffine
from brianlearn.data.dataset import DataSet
from brianlearn.data.idx import read_idx, read_labelled_images
from brianlearn.data.registry import known_data, load

__all__ = ["DataSet", "RandomAffine", "known_data", "load", "read_idx", "read_labelled_images"]
