"""The command line."""

from brianlearn.cli.app import app, main

__all__ = ["app", "main"]
