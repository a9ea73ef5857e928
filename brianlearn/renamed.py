"""Old names of what is public: they work, and warn with the new one.

Files hold the names under which classes were first stored (`Storable`, ``stored_as``): old run folders open without a
word, and new ones in earlier versions.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from typing import Any

from brianlearn.errors import RenamedWarning
from brianlearn.telling import tell

__all__ = ["OLD_NAMES", "old_name", "old_names", "old_package"]

#: Old name -> new name, of classes and functions; of packages, the module.
OLD_NAMES = {
    "Bernoulli": "PoissonEncoder",
    "IntegrateAndFire": "IntegrateAndFireEncoder",
    "Latency": "TimeToFirstSpikeEncoder",
    "Train": "SpikeTrain",
    "rules": "brianlearn.learning",
    "spec": "brianlearn.network",
}

if not sys.warnoptions:  # Python hides deprecations outside of the main module; users should see these in theirs
    warnings.filterwarnings("default", category=RenamedWarning)


def old_name(module: str, name: str) -> Any:
    """What an old name stands for, with a warning.

    Parameters
    ----------
    module : str
        Where it is looked for.
    name : str
        One of `OLD_NAMES`.

    Returns
    -------
    object

    Raises
    ------
    AttributeError
        A name that this module never had.

    Warns
    -----
    RenamedWarning
    """
    new = OLD_NAMES.get(name)
    if new is None or not ("." in new or new in sys.modules[module].__all__):
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    where = new if "." in new else f"{module}.{new}"
    tell(RenamedWarning(f"{module}.{name}", f"is now called {where}; the old name goes in a later version"))
    return importlib.import_module(new) if "." in new else getattr(sys.modules[module], new)


def old_names(module: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module some of whose names were others once.

    Parameters
    ----------
    module : str

    Returns
    -------
    callable
    """
    return lambda name: old_name(module, name)


def old_package(module: str, new: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module that stands for a package of another name.

    Parameters
    ----------
    module, new : str

    Returns
    -------
    callable
    """

    def found(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        tell(RenamedWarning(module, f"is now called {new}; the old name goes in a later version"))
        return getattr(importlib.import_module(new), name)

    return found
