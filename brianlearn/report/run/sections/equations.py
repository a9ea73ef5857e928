"""The neurons' equations, typeset, with their constants and units; the rule and its settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import sympy
from brian2.equations.equations import DIFFERENTIAL_EQUATION, SUBEXPRESSION
from brian2.parsing.sympytools import str_to_sympy
from brian2.units.fundamentalunits import Quantity
from markupsafe import escape
from sympy.printing.mathml import MathMLPresentationPrinter

from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.unit_names import quantity_text
from brianlearn.report.page.blocks import Block, Facts, Html, Section
from brianlearn.report.run.view import RunView
from brianlearn.training.serialise import from_dict

__all__ = ["equations", "typeset"]


def equations(view: RunView) -> Section:
    """Each kind of neuron once, with the layers that it is in; then the rule and the optimiser."""
    kinds: dict[str, tuple[Neuron, list[str]]] = {}
    for p in view.spec.neurons:
        assert isinstance(p.neuron, Neuron)
        kinds.setdefault(repr(p.neuron), (p.neuron, []))[1].append(p.name)
    blocks: list[Block] = []
    for neuron, layers in kinds.values():
        blocks.append(Html(f"<h3>Neurons of {escape(', '.join(layers))}</h3>"))
        lines = "\n".join(f'<math display="block">{line}</math>' for line in typeset(neuron))
        blocks.append(Html(f'<div class="equations" tabindex="0" role="region" aria-label="equations">{lines}</div>'))
        blocks.append(Facts("constants", list(_constants(neuron, view, layers))))
    for title, name in (("Rule", "rule"), ("Optimiser", "optimiser")):
        stored = view.config[name]
        blocks.append(Html(f"<h3>{title}: {escape(str(stored.get('$type')).rpartition(':')[2])}</h3>"))
        blocks.append(Facts(title.lower(), list(_settings(stored))))
    return Section("equations", "Equations and settings").with_blocks(*blocks)


def typeset(neuron: Neuron) -> Iterator[str]:
    """The equations, threshold and reset as MathML, without the element ``math`` around each."""
    for name, equation in neuron.parsed.equations.items():
        if equation.type == DIFFERENTIAL_EQUATION:
            left = f"<mfrac><mrow><mi>d</mi>{_math(name)}</mrow><mrow><mi>d</mi><mi>t</mi></mrow></mfrac>"
        elif equation.type == SUBEXPRESSION:
            left = _math(name)
        else:
            continue
        flags = f"<mspace width='1em'/><mtext>({', '.join(equation.flags)})</mtext>" if equation.flags else ""
        yield f"<mrow>{left}<mo>=</mo>{_math(equation.expr.code)}{flags}</mrow>"
    parsed = neuron.parsed
    yield (
        f"<mrow><mtext>spike where</mtext><mspace width='0.5em'/>{_math(parsed.membrane)}<mo>&gt;</mo>"
        f"{_math(parsed.threshold)}<mo>,</mo><mspace width='0.5em'/><mtext>then</mtext><mspace width='0.5em'/>"
        f"{'<mo>;</mo>'.join(map(_assignment, _lines(neuron.reset)))}</mrow>"
    )
    psi = _math(neuron.surrogate.expression("x"))
    scale = "" if float(np.asarray(neuron.v_scale)) == 1.0 else quantity_text(neuron.v_scale)
    divided = f"<mo>/</mo><mtext>({escape(scale)})</mtext>" if scale else ""
    distance = f"<mo>(</mo>{_math(parsed.membrane)}<mo>-</mo>{_math(parsed.threshold)}<mo>)</mo>{divided}"
    yield (
        f"<mrow><mi>&#968;</mi><mo>=</mo>{psi}<mo>,</mo><mspace width='0.5em'/><mi>x</mi><mo>=</mo>{distance}</mrow>"
    )


def _lines(code: str) -> list[str]:
    return [line.strip() for line in code.replace(";", "\n").splitlines() if line.strip()]


def _assignment(line: str) -> str:
    for sign in ("+=", "-=", "*=", "/=", "="):
        left, found, right = line.partition(sign)
        if found and left.strip().isidentifier():
            mark = {"+=": "+", "-=": "-", "*=": "&#183;", "/=": "/"}.get(sign)
            before = f"{_math(left.strip())}<mo>{mark}</mo>" if mark else ""
            return f"{_math(left.strip())}<mo>&#8592;</mo>{before}{_math(right.strip())}"
    return f"<mtext>{escape(line)}</mtext>"


def _math(code: str) -> str:
    """An expression as MathML; as it is written where sympy has no words for it."""
    try:
        return MathMLPresentationPrinter({"mul_symbol": "dot"}).doprint(_whole(str_to_sympy(code)))
    except (SyntaxError, TypeError, ValueError, NotImplementedError, AttributeError):
        return f"<mtext>{escape(code)}</mtext>"


def _whole(expression: Any) -> Any:
    """The expression with 5 in the place of 5.0."""
    whole = {number: sympy.Integer(int(number)) for number in expression.atoms(sympy.Float) if number == int(number)}
    return expression.xreplace(whole)


def _constants(neuron: Neuron, view: RunView, layers: list[str]) -> Iterator[tuple[str, str]]:
    for name, value in neuron.constants.items():
        learned = [one for one in view.spec.learned_constants if one.name == name and one.population in layers]
        yield name, _value(value) + (" at the start, learned" if learned else "")
        for one in learned:
            if one.key in view.weights:
                yield f"{name} of {one.population}, learned", _value(one.quantity(view.weights[one.key]))
    for name in ("refractory", "floor"):
        if getattr(neuron, name) is not None:
            yield name, _value(getattr(neuron, name))
    if float(np.max(np.abs(np.asarray(neuron.v_scale) - 1.0))):
        yield "v_scale", _value(neuron.v_scale)
    yield "integrated by", {"exact": "the exact propagator"}.get(neuron.method_used, f"Brian2's {neuron.method_used}")


def _value(value: Any) -> str:
    if np.ndim(value) == 0:
        return quantity_text(value)
    array = np.asarray(value)
    dim = value.dim if isinstance(value, Quantity) else None
    low, mean, high = (quantity_text(float(f(array)), dim) if dim is not None else f"{f(array):.4g}"
                       for f in (np.min, np.mean, np.max))  # fmt: skip
    return f"{low} to {high}, mean {mean} ({array.size} values)"


def _settings(stored: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in stored.items():
        if name == "$type":
            continue
        if isinstance(value, dict) and value.get("$type") == "Quantity":
            yield prefix + name, _value(from_dict(value))
        elif isinstance(value, dict):
            kind = str(value.get("$type", "")).rpartition(":")[2]
            if kind:
                yield prefix + name, kind
            yield from _settings(value, f"{prefix}{name}.")
        elif value is not None and value != [] and value != "":
            yield prefix + name, f"{value:g}" if isinstance(value, float) else str(value)
