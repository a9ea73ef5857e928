"""Reading networks that a user has written with Brian2."""

from brianlearn.brian.adopt.reading import Read, read_network

__all__ = ["Read", "read_network"]
