"""Networks as NIR graphs, the neuromorphic intermediate representation (https://neuroir.org), and from them."""

from brianlearn.interop.nir.reading import from_nir
from brianlearn.interop.nir.writing import to_nir
from brianlearn.named_arguments import name_arguments

__all__ = ["from_nir", "to_nir"]

name_arguments(globals())
