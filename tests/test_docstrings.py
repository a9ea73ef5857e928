"""Everything public says what it takes, what it returns and what it raises: in numpydoc's sections, field by field."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import pkgutil
import pydoc
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")  # brianlearn.discrete, and what it exports

import brianlearn as bl
from brianlearn.docstrings import entries, sections

API = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
#: What the reference lists, and every package.
MODULES = sorted(
    {*re.findall(r"^::: (\S+)$", API, re.MULTILINE)}
    | {m.name for m in pkgutil.walk_packages(bl.__path__, "brianlearn.", onerror=lambda name: None) if m.ispkg}
)


def public() -> dict[str, Any]:
    """Name -> class or function, of everything that is exported."""
    found = {f"bl.{name}": getattr(bl, name) for name in bl.__all__}
    for module in map(importlib.import_module, MODULES):
        found |= {f"{module.__name__}.{name}": getattr(module, name) for name in getattr(module, "__all__", ())}
    once = {id(thing): name for name, thing in reversed(found.items())}
    return {name: thing for name, thing in found.items() if once[id(thing)] == name}


#: Types whose values say nothing without a unit or a range.
MEASURED = re.compile(r"(float|brian2\.Quantity|numpy\.ndarray)\b")
BUILTIN = {"KeyError", "TypeError", "ValueError"}


@functools.cache
def tree(function: Callable[..., Any]) -> ast.AST | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):  # made by a decorator
        return None


def inside(block: ast.Try) -> Iterator[ast.AST]:
    """What stands in a block whose errors are caught there."""
    for statement in block.body:
        yield from ast.walk(statement)


def raised(function: Callable[..., Any], cls: type | None = None, seen: frozenset[Any] = frozenset()) -> set[str]:
    """Names of the errors that a function raises, in what is private to its class and module too."""
    function = inspect.unwrap(function)
    body = tree(function) if inspect.isfunction(function) and function not in seen else None
    if body is None:
        return set()
    found = set()
    caught = {id(n) for node in ast.walk(body) if isinstance(node, ast.Try) and node.handlers for n in inside(node)}
    for node in ast.walk(body):
        if isinstance(node, ast.Raise) and node.exc is not None and id(node) not in caught:
            error = ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
            found.add(error)
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            private = called.removeprefix("self.").removeprefix("cls.")
            if not private.startswith("_") or "." in private:
                continue
            other = getattr(cls, private, None) if private != called else function.__globals__.get(called)
            inner = raised(inspect.unwrap(other), cls, seen | {function}) if callable(other) else set()
            found |= inner - BUILTIN if id(node) in caught else inner
    return {name for name in found if name[:1].isupper() and name not in ("AssertionError", "AttributeError")}


def missing_errors(errors: set[str], section: str) -> list[str]:
    """Errors that a section does not name, nor a base class of theirs."""

    def bases(name: str) -> list[str]:
        kind = getattr(bl, name, None) or getattr(importlib.import_module("builtins"), name, None)
        return [base.__name__ for base in getattr(kind, "__mro__", ())] or [name]

    return sorted(name for name in errors if not any(re.search(rf"\b{base}\b", section) for base in bases(name)))


def faults_of_function(name: str, function: Any, doc: str | None, cls: type | None = None) -> Iterator[str]:
    if not doc:
        yield f"{name}: no docstring"
        return
    found = sections(doc)
    signature = inspect.signature(function)
    told = {name.lstrip("*") for name in entries(found.get("Parameters", ""))}
    untold = [p for p in signature.parameters if p not in ("self", "cls") and p not in told]
    if untold:
        yield f"{name}: parameters {', '.join(untold)}"
    gives = signature.return_annotation not in (None, "None", "NoReturn", "Never", inspect.Signature.empty)
    if gives and not {"Returns", "Yields"} & set(found):
        yield f"{name}: what it returns ({signature.return_annotation})"
    if errors := missing_errors(raised(function, cls), found.get("Raises", "")):
        yield f"{name}: raises {', '.join(errors)}"


def faults_of_class(name: str, cls: type) -> Iterator[str]:
    doc = vars(cls).get("__doc__")
    if not doc:
        yield f"{name}: no docstring"
    found = sections(doc)
    told = entries(found.get("Parameters", "")) | entries(found.get("Attributes", ""))
    if dataclasses.is_dataclass(cls):
        fields = [field.name for field in dataclasses.fields(cls)]
    else:
        made_here = cls.__init__ is not object.__init__ and not getattr(cls, "_is_protocol", False)
        fields = list(inspect.signature(cls).parameters) if made_here else []
    told_above = {n for base in cls.__mro__ for text in sections(base.__doc__).values() for n in entries(text)}
    attributes = [a for a in vars(cls).get("__annotations__", {}) if a not in fields and a not in told_above]
    untold = [field for field in [*fields, *attributes] if not field.startswith("_") and field not in told]
    if untold:
        yield f"{name}: fields {', '.join(untold)}"
    bare = [field for field, text in told.items() if MEASURED.match(text) and "\n" not in text and "shape" not in text]
    if bare:
        yield f"{name}: what is measured, and in which unit, by {', '.join(bare)}"
    makers = () if getattr(cls, "_is_protocol", False) else ("__init__", "__post_init__")
    errors = {e for maker in makers for e in raised(getattr(cls, maker, None), cls)}
    if wrong := missing_errors(errors, found.get("Raises", "")):
        yield f"{name}: raises {', '.join(wrong)}"


def own_members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that the class defines or overrides."""
    for name, member in vars(cls).items():
        if not name.startswith("_"):
            yield name, member


def faults(name: str, thing: Any) -> Iterator[str]:
    if inspect.isfunction(inspect.unwrap(thing)) if callable(thing) and not isinstance(thing, type) else False:
        yield from faults_of_function(name, thing, thing.__doc__)
    if not isinstance(thing, type):
        return
    yield from faults_of_class(name, thing)
    for own, member in own_members(thing):
        if isinstance(member, property | functools.cached_property):
            if not inspect.getdoc(member) and not any(inspect.getdoc(vars(b).get(own)) for b in thing.__mro__):
                yield f"{name}.{own}: no docstring"
        elif inspect.isfunction(function := getattr(member, "__func__", member)):
            yield from faults_of_function(f"{name}.{own}", function, inspect.getdoc(getattr(thing, own)), thing)


PUBLIC = public()


@pytest.mark.parametrize("name", [name for name, thing in PUBLIC.items() if callable(thing)])
def test_everything_public_documents_its_fields_results_and_errors(name: str) -> None:
    assert list(faults(name, PUBLIC[name])) == []


@dataclasses.dataclass(frozen=True)
class Nadam(bl.Adam):
    """Adam with Nesterov's momentum.

    Parameters
    ----------
    beta1 : float
        Mine.
    power : float
        Another.

    Notes
    -----
    Stays where it is.
    """

    power: float = 0.5


def test_a_class_of_ones_own_shows_the_fields_that_it_inherits() -> None:
    found, above = sections(Nadam.__doc__), entries(sections(bl.Adam.__doc__)["Parameters"])
    shown = entries(found["Parameters"])
    assert set(shown) == set(inspect.signature(Nadam).parameters) == {*above, "power"}
    assert shown["beta1"] == "float\n    Mine." and shown["clip_norm"] == above["clip_norm"]
    assert found["Raises"].startswith("RuleError") and found["Notes"] == "Stays where it is."
    assert list(found) == ["", "Parameters", "Raises", "Notes"]


def test_a_class_without_a_docstring_stays_without() -> None:
    class Bare(bl.Optimiser):
        pass

    assert Bare.__doc__ is None


@pytest.mark.parametrize("rule", [bl.DALTON, bl.TFR, bl.DFA, bl.EProp, bl.DECOLLE])
def test_help_on_a_rule_says_what_each_option_is(rule: type) -> None:
    text = pydoc.render_doc(rule, renderer=pydoc.plaintext)
    for name in ("eligibility", "credit", "feedback", "update", "burn_in", "learning_rate_scale"):
        assert re.search(rf"^ \|  {name} : \S.*\n \|      \S", text, re.MULTILINE), name


DALTON_PAPER, SEQUENCE_PAPER = "10.1109/TETC.2024.3440932", "10.11999/JEIT230705"


@pytest.mark.parametrize(
    ("paper", "thing"),
    [
        *((DALTON_PAPER, each) for each in (bl.DALTON, bl.TFR, bl.SurrogateBPTT, bl.DaltonIF, bl.ReadoutMSE)),
        *((SEQUENCE_PAPER, each) for each in (bl.STBP, bl.SequenceLIF, bl.VanRossum, bl.Hamming, bl.Targets)),
    ],
)
def test_the_two_papers_are_cited_where_they_belong(paper: str, thing: Any) -> None:
    assert paper in sections(thing.__doc__)["References"]


@pytest.mark.parametrize("kind", [bl.Rule, bl.Loss, bl.Optimiser, bl.Schedule, bl.Surrogate, bl.Encoder])
def test_every_published_method_says_in_which_paper(kind: type) -> None:
    plain = {bl.Spikes, bl.Halving, bl.Exponential}  # nobody's
    found = [thing for thing in PUBLIC.values() if isinstance(thing, type) and issubclass(thing, kind)]
    made = [each for each in found if "_stored_name" in vars(each) and each not in plain]  # no base classes
    assert len(made) >= 2
    without = [each.__name__ for each in made if not re.search(r"(19|20)\d\d", each.__doc__ or "")]
    assert without == []
