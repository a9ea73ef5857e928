"""Engines as objects that carry their own settings, in the place of names."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from brianlearn.citing import papers
from brianlearn.citing.references import Citable, Reference
from brianlearn.errors import RuleError, did_you_mean
from brianlearn.network.checks import is_whole

__all__ = ["IMPLEMENTATIONS", "Brian", "Discrete", "EngineSettings", "settled"]

IMPLEMENTATIONS = ("loops", "third_factor", "synapses")
MATMUL = ("float32", "bfloat16")


class EngineSettings(Citable):
    """Base class of engines as objects.

    Attributes
    ----------
    engine : str
        The engine's name.
    device : str
    """

    engine: ClassVar[str]
    device: str

    def _check(self, name: str, right: bool, expected: str) -> None:
        if not right:
            raise RuleError(type(self).__name__, f"{name} is wrong", got=repr(getattr(self, name)), expected=expected)

    @property
    def options(self) -> dict[str, Any]:
        """What ``engine_options`` hold: settings that are not the default, but for device and workers."""
        fields = [f for f in dataclasses.fields(self) if f.name not in ("device", "workers")]  # type: ignore[arg-type]
        return {f.name: getattr(self, f.name) for f in fields if getattr(self, f.name) != f.default}

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Any:
        """The settings that ``engine_options`` hold.

        Parameters
        ----------
        options : mapping
            Name -> value.

        Returns
        -------
        EngineSettings

        Raises
        ------
        RuleError
            What is no setting of this engine, or wrong.
        """
        known = [f.name for f in dataclasses.fields(cls) if f.name not in ("device", "workers")]  # type: ignore[arg-type]
        for name in options:
            if name not in known:
                raise RuleError(
                    f"engine {cls.engine!r}, engine_options",
                    "no such option",
                    got=repr(name),
                    expected=", ".join(known),
                    remedy=did_you_mean(str(name), known),
                )
        return cls(**options)


@dataclass(frozen=True)
class Brian(EngineSettings):
    """The event-driven engine: networks of Brian2.

    Parameters
    ----------
    device : str
        ``"auto"``, ``"numpy"``, ``"cython"``, ``"runtime"``, ``"cpp_standalone"``, ``"genn"``, ``"genn-cpu"``.
    workers : int
        Processes that share the trials of a batch (cpp_standalone).
    implementation : {"loops", "third_factor", "synapses"}
        What a standalone program runs: C++ loops in the place of synapses where possible; the synapses of Brian2, with
        one C++ function per projection for the third factor; or synapses alone, the reference, several times slower.

    Raises
    ------
    RuleError

    Examples
    --------
    >>> import brianlearn as bl
    >>> bl.Brian(device="cpp_standalone", workers=2).options
    {}
    """

    device: str = "auto"
    workers: int = 1
    implementation: str = "loops"

    references = (papers.BRIAN2,)
    engine: ClassVar[str] = "brian"

    def cited(self) -> tuple[Reference, ...]:
        return (*super().cited(), *((papers.BRIAN2GENN, papers.GENN) if self.device.startswith("genn") else ()))

    def __post_init__(self) -> None:
        self._check("device", isinstance(self.device, str), "the name of a device, e.g. 'cpp_standalone'")
        self._check("workers", is_whole(self.workers) and self.workers >= 1, "a whole number >= 1")
        self._check("implementation", self.implementation in IMPLEMENTATIONS, ", ".join(map(repr, IMPLEMENTATIONS)))


@dataclass(frozen=True)
class Discrete(EngineSettings):
    """The discrete-time engine: torch.

    Parameters
    ----------
    device : str
        ``"auto"`` or a device of torch: ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    micro_batch : int, optional
        Trials that run at once; a larger batch is divided, and the gradients of its parts add up to that of the whole.
        Chosen from the size of the network where it is not given.
    matmul : {"float32", "bfloat16"}
        Precision in which float32 matrix products and convolutions multiply on a CPU; sums are float32.
    kernels : bool
        Whether to use generated kernels on the CPU; plain torch otherwise.
    checkpoint_steps : int, optional
        Back-propagation through time keeps the states of neurons every so many steps, and computes the steps between
        again; gradients are the same but for rounding. Chosen from the size of the network where it is not given: none
        while a whole trial is small.

    Raises
    ------
    RuleError

    Examples
    --------
    >>> import brianlearn as bl
    >>> bl.Discrete("cpu", micro_batch=50).options
    {'micro_batch': 50}
    """

    device: str = "auto"
    micro_batch: int | None = None
    matmul: str = "float32"
    kernels: bool = True
    checkpoint_steps: int | None = None

    references = (papers.PYTORCH,)
    engine: ClassVar[str] = "discrete"

    def __post_init__(self) -> None:
        self._check("device", isinstance(self.device, str), "the name of a device, e.g. 'cpu'")
        for name in ("micro_batch", "checkpoint_steps"):
            value = getattr(self, name)
            self._check(name, value is None or (is_whole(value) and value >= 1), "a whole number >= 1")
        self._check("matmul", self.matmul in MATMUL, " or ".join(map(repr, MATMUL)))
        self._check("kernels", isinstance(self.kernels, bool), "True or False")


def settled(
    owner: str, engine: object, device: str, workers: int, options: Mapping[str, Any] | None
) -> tuple[str, str, int, Mapping[str, Any]]:
    """Engine, device, workers and options, by name; from an object where ``engine`` is one.

    Raises
    ------
    RuleError
        Settings beside an engine that carries its own.
    """
    options = options or {}
    if not isinstance(engine, EngineSettings):
        return cast("str", engine), device, workers, options  # `choose_engine` looks at it
    given = {"device": device != "auto", "workers": workers != 1, "engine_options": bool(options)}
    beside = [name for name, is_given in given.items() if is_given]
    if beside:
        raise RuleError(
            owner,
            "the engine carries its own settings",
            got=f"{', '.join(beside)} beside engine={engine!r}",
            expected=f"engine={type(engine).__name__}(device=..., ...), or the name {engine.engine!r}",
        )
    return engine.engine, engine.device, getattr(engine, "workers", 1), engine.options
