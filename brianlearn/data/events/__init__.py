"""Event recordings: the formats of event cameras, preprocessing, and binned recordings that stay on disk."""

from brianlearn.data.events.camera import EventCamera
from brianlearn.data.events.pipeline import denoised
from brianlearn.data.events.raw import RawEvents
from brianlearn.data.events.stored import StoredEvents
from brianlearn.data.events.window import RandomWindow

__all__ = ["EventCamera", "RandomWindow", "RawEvents", "StoredEvents", "denoised"]
