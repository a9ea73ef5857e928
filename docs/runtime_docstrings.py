"""For the reference pages: docstrings of classes as `help` shows them, with the fields that they inherit."""

from __future__ import annotations

from typing import Any

import griffe

__all__ = ["RuntimeDocstrings"]


#: Packages that docs/api.md shows by topic: what they say of themselves would stand there several times.
BY_TOPIC = ("brianlearn.learning", "brianlearn.network", "brianlearn.training")


class RuntimeDocstrings(griffe.Extension):
    """Griffe reads sources, where a subclass does not repeat what its base documents."""

    def on_module(self, *, mod: griffe.Module, **options: Any) -> None:
        """Leave out the docstrings of packages that are shown by topic.

        Parameters
        ----------
        mod : griffe.Module
        **options : object
        """
        if mod.path in BY_TOPIC:
            mod.docstring = None

    def on_class(self, *, cls: griffe.Class, **options: Any) -> None:
        """Take the docstring of the class itself.

        Parameters
        ----------
        cls : griffe.Class
        **options : object
        """
        if cls.docstring is not None and cls.parent is not None and cls.parent.is_module:
            made = griffe.dynamic_import(cls.path)
            cls.docstring.value = griffe.Docstring(made.__doc__ or "").value
