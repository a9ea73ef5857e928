"""The command, or the Python, that runs a study again."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING, Any

from brian2.units.fundamentalunits import Quantity, get_dimensions

from brianlearn.errors import BrianLearnError
from brianlearn.study.axes import Axis, parse_axis
from brianlearn.study.values import text

if TYPE_CHECKING:
    from brianlearn.study.study import Study

__all__ = ["repeat_command"]

#: What the command line takes where nothing else is said.
DEFAULTS = {"sampler": "grid", "budget": None, "where": None, "metric": "test_accuracy", "keep": "weights", "seed": 0}


def repeat_command(study: Study) -> str:
    """What begins the same study anew.

    Parameters
    ----------
    study : Study

    Returns
    -------
    str
        A command line where one can say it all, else Python.
    """
    return _command(study) or _python(study)


def _command(study: Study) -> str | None:
    """``brianlearn study SCRIPT --axis ...``; None where the command line cannot say the same."""
    task = study.task
    axes = [_argument(axis) for axis in study.axes.values()]
    fixed = [_argument(Axis.make(name, [value])) for name, value in study.fixed.items()]
    plain = study.stop is None or (
        study.stop.minimum == 1 and study.stop.metric is None and study.stop.direction == study.direction
    )
    if task.script is None or task.name not in ("trial", "experiment") or None in axes + fixed or not plain:
        return None
    words = ["brianlearn", "study", task.script]
    for option, arguments in (("--axis", axes), ("--fix", fixed)):
        for argument in arguments:
            words += [option, str(argument)]
    for name, default in DEFAULTS.items():
        value = getattr(study, name)
        if value != default and not callable(value):
            words += [f"--{name}", str(value)]
    if study.direction == "minimize":
        words.append("--minimize")
    if study.stop is not None:
        words += ["--halving", str(study.stop.factor)]
    lines = [""]
    for word in map(shlex.quote, words):
        if word.startswith("--"):
            lines.append(f"    {word}")
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return " \\\n".join(lines)


def _argument(axis: Axis) -> str | None:
    """An axis as ``--axis`` takes it; None where that would be another one."""
    span = axis.span
    if span is not None:
        inside = f"{text(span.low)}..{text(span.high)}:{span.n}"
        given = f"{axis.name}={f'log({inside})' if span.log else inside}"
    elif _is_range(axis.values):
        given = f"{axis.name}={axis.values[0]}:{axis.values[-1] + 1}"
    else:
        given = f"{axis.name}={','.join(map(text, axis.values))}"
    try:
        again = parse_axis(given)
    except BrianLearnError:
        return None
    same = len(again.values) == len(axis.values) and all(map(_equal, again.values, axis.values))
    kind = (again.span is None) == (span is None)
    if span is not None and again.span is not None:
        kind = (span.log, span.whole, span.n) == (again.span.log, again.span.whole, again.span.n)
    return given if same and kind else None


def _is_range(values: tuple[Any, ...]) -> bool:
    whole = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
    return whole and len(values) > 2 and list(values) == list(range(values[0], values[-1] + 1))


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Quantity | float) and isinstance(other, Quantity | float):
        alike = get_dimensions(one) is get_dimensions(other)
        return alike and math.isclose(float(one), float(other), rel_tol=1e-12)
    return type(one) is type(other) and bool(one == other)


def _python(study: Study) -> str:
    task = study.task
    imports = {"from brianlearn.study import Study"}
    if task.script is None:
        imports.add(f"from {task.module} import {task.name}")
        function = task.name
    elif task.name in ("trial", "experiment"):
        function = repr(task.script)
    else:
        imports.add("from brianlearn.study.task import Task")
        function = f"Task({task.name!r}, script={task.script!r})"
    axes = ", ".join(f"{name!r}: {_values(axis, imports)}" for name, axis in study.axes.items())
    given = [function, f"axes={{{axes}}}"]
    for name, default in DEFAULTS.items():
        value = getattr(study, name)
        if value != default and not callable(value):
            given.append(f"{name}={value!r}")
    if study.direction != "maximize":
        given.append(f"direction={study.direction!r}")
    if study.stop is not None:
        imports.add("from brianlearn.study import SuccessiveHalving")
        given.append(f"stop={study.stop!r}")
    if study.fixed:
        given.append(f"fixed={{{', '.join(f'{n!r}: {_value(v, imports)}' for n, v in study.fixed.items())}}}")
    inside = "".join(f"    {argument},\n" for argument in given)
    return "\n".join([*sorted(imports), "", f"study = Study(\n{inside})", "study.run()"])


def _values(axis: Axis, imports: set[str]) -> str:
    span = axis.span
    if span is None:
        return f"[{', '.join(_value(value, imports) for value in axis.values)}]"
    imports.add("from brianlearn.study import Span")
    ends = f"{_value(span.low, imports)}, {_value(span.high, imports)}"
    return f"Span({ends}, {span.n}, log={span.log}, whole={span.whole})"


def _value(value: Any, imports: set[str]) -> str:
    if isinstance(value, Quantity):
        imports.add("from brianlearn.network.quantities import parse_quantity")
        return f"parse_quantity({text(value)!r})"
    return repr(value)
