"""What to cite: the papers behind every object that a network, a rule or an experiment is made of."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brianlearn import __version__
from brianlearn.citing import papers
from brianlearn.citing.references import Citable, Reference, makers_of, references_of_class
from brianlearn.data.dataset import DataSet
from brianlearn.data.registry import known_data
from brianlearn.data.source import DataSource, NamedData
from brianlearn.errors import ArgumentError, did_you_mean
from brianlearn.learning.engine_settings import Brian, Discrete
from brianlearn.training.engines import choose_engine
from brianlearn.training.experiment import Experiment
from brianlearn.training.learner import Learner
from brianlearn.training.result import Result
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.serialise import from_dict

__all__ = ["Citation", "citation"]

#: This package itself; CITATION.cff says the same.
BRIANLEARN = Reference(
    "{brianlearn developers}",
    "brianlearn: deep spiking networks declared as Brian2 equations and taught with local three-factor rules",
    f"software, version {__version__}",
    2026,
    kind="misc",
)
#: Attributes of what is no dataclass, in which there is more to cite: learners, adopted networks.
_PARTS = ("spec", "rule", "optimiser")


@dataclass(frozen=True)
class Citation:
    """Papers, and what each of them is cited for. ``print`` shows them as text.

    Attributes
    ----------
    papers : mapping
        `Reference` -> names of the objects that come from it, in the order in which they were found.

    Examples
    --------
    >>> import brianlearn as bl
    >>> print(bl.citation(bl.DALTON()))  # doctest: +ELLIPSIS
    DALTON
      R. Gaurav, D. A. Do, T. T. Doan, Y. Yi, DALTON: deep local learning in SNNs ...
      N. Frémaux, W. Gerstner, Neuromodulated spike-timing-dependent plasticity, ...
    Brian2
      M. Stimberg, R. Brette, D. F. M. Goodman, Brian 2, an intuitive and efficient neural simulator, ...
    brianlearn
      brianlearn developers, brianlearn: deep spiking networks declared as Brian2 equations ...
    """

    papers: Mapping[Reference, tuple[str, ...]]

    def text(self) -> str:
        """The papers as text, under the objects that come from them.

        Returns
        -------
        str
        """
        by_names: dict[tuple[str, ...], list[Reference]] = {}
        for reference, names in self.papers.items():
            by_names.setdefault(names, []).append(reference)
        return "\n".join(
            line
            for names, references in by_names.items()
            for line in (", ".join(names), *(f"  {each.text()}" for each in references))
        )

    def bibtex(self) -> str:
        """The papers as the content of a ``.bib`` file; a comment above each says what it is cited for.

        Returns
        -------
        str
        """
        return "\n\n".join(f"% {', '.join(names)}\n{each.bibtex()}" for each, names in self.papers.items()) + "\n"

    def __str__(self) -> str:
        return self.text()


def citation(*things: Any) -> Citation:
    """The papers behind things: what to cite when you have used them.

    Parameters
    ----------
    *things : object
        Rules, neurons, networks, losses, data sets or their names, experiments, learners, classes, or run folders. A
        network is all that it is made of, an experiment its engine and data set too.

    Returns
    -------
    Citation
        Brian2 and this package are always among them. Classes of one's own bring theirs: see `Reference` and `cites`.

    Raises
    ------
    ArgumentError
        What there is nothing to say of: a number, or text that names neither a data set nor a run folder.
    RunFolderError
        A run folder that is damaged.

    Examples
    --------
    >>> import brianlearn as bl
    >>> cited = bl.citation(bl.CubaLIF(surrogate=bl.ArcTan()), "digits")
    >>> [names[0] for names in cited.papers.values()]
    ['CubaLIF', 'ArcTan', 'digits', 'digits', 'Brian2', 'brianlearn']
    >>> cited.bibtex().splitlines()[1]
    '@article{brette2007simulation,'
    """
    found: dict[Reference, dict[str, None]] = {}
    for thing in things:
        for name, references in _taken(thing):
            for reference in references:
                found.setdefault(reference, {})[name] = None
    found.setdefault(papers.BRIAN2, {"Brian2": None})
    found[BRIANLEARN] = {"brianlearn": None}
    return Citation({reference: tuple(names) for reference, names in found.items()})


def _taken(thing: Any) -> Iterator[tuple[str, tuple[Reference, ...]]]:
    """What a user may give: beside objects names of data sets, and run folders."""
    if isinstance(thing, str) and thing in known_data():
        yield from _cited(NamedData(thing), set())
    elif isinstance(thing, str | os.PathLike):
        if not Path(thing).exists():
            raise ArgumentError(
                "citation",
                "there is no data set and no run folder of this name",
                got=repr(os.fspath(thing)),
                expected="a run folder, or one of " + ", ".join(known_data()),
                remedy=did_you_mean(str(thing), known_data()),
            )
        yield from _of_run(thing)
    elif isinstance(thing, Result):
        yield from _of_run(thing.run)
    elif isinstance(thing, type) or inspect.isfunction(thing):
        own = references_of_class(thing) if isinstance(thing, type) else getattr(thing, "references", None)
        if own is None:
            raise _nothing(thing)
        yield thing.__name__, own
    elif _has_parts(thing) or any(hasattr(thing, part) for part in _PARTS):
        yield from _cited(thing, set())
    else:
        raise _nothing(thing)


def _has_parts(thing: Any) -> bool:
    return isinstance(thing, Citable | DataSet | Mapping | list | tuple) or dataclasses.is_dataclass(thing)


def _nothing(thing: Any) -> ArgumentError:
    return ArgumentError(
        "citation",
        "there is nothing to cite for this",
        got=repr(thing)[:200],
        expected="rules, neurons, networks, losses, data sets, experiments, ..., their classes, or run folders",
    )


def _cited(thing: Any, seen: set[int]) -> Iterator[tuple[str, tuple[Reference, ...]]]:
    """An object and all that it is made of."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, Citable):
        yield _name(thing), thing.cited()
    elif "references" in vars(type(thing)):
        yield _name(thing), references_of_class(type(thing))
    parts: list[Any] = []
    if isinstance(thing, DataSet):
        parts = [NamedData(thing.name)] if thing.name in known_data() else []
    elif dataclasses.is_dataclass(thing):
        parts = [getattr(thing, field.name) for field in dataclasses.fields(thing)]
    elif isinstance(thing, Mapping):
        parts = list(thing.values())
    elif isinstance(thing, list | tuple):
        parts = list(thing)
    else:
        parts = [getattr(thing, part) for part in _PARTS if hasattr(thing, part)]
    for part in parts:
        if _has_parts(part):
            yield from _cited(part, seen)
    if isinstance(thing, Experiment):
        if isinstance(thing.data, str):
            yield from _cited(NamedData(thing.data), seen)
        yield from _of_engine(thing.engine, thing.rule, thing.device)
    if isinstance(thing, Learner):
        yield from _of_engine(thing.engine_name, thing.rule, thing.device)


def _name(thing: Any) -> str:
    """How an object is called in a list of papers: a preset by its name, a data set too, others by their class."""
    made_by = [name for name, _ in makers_of(getattr(thing, "written", None))]
    return thing.name if isinstance(thing, NamedData) else " or ".join(made_by) or type(thing).__name__


def _of_engine(engine: str, rule: Any, device: str) -> Iterator[tuple[str, tuple[Reference, ...]]]:
    used = {kind.engine: kind for kind in (Brian, Discrete)}[choose_engine(engine, rule, device)](device=device)
    names = {papers.BRIAN2: "Brian2", papers.PYTORCH: "PyTorch"}
    for reference in used.cited():
        yield names.get(reference, "GeNN"), (reference,)


def _of_run(run: str | os.PathLike[str]) -> Iterator[tuple[str, tuple[Reference, ...]]]:
    """A run folder: what its experiment was made of; its samples are not needed."""
    folder = RunFolder.open(run)
    config, where = folder.config(), f"{folder.path}/config.json"
    parts = [from_dict(config[name], where) for name in ("spec", "rule", "optimiser", "augment")]
    data = config["data"]
    if "source" in data:
        parts.append(from_dict(data["source"], where))
    elif data["name"] in known_data():
        parts.append(NamedData(data["name"]))
    yield from _cited([part for part in parts if isinstance(part, Citable | DataSource)], set())
    yield from _of_engine(config["engine"], parts[1], config["device"])
