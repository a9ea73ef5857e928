"""Surrogate derivatives against plain formulas, and what their normalisation says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import reference
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.variables import Variable
from brian2.parsing.expressions import parse_expression_dimensions
from brian2.units.fundamentalunits import DIMENSIONLESS
from scipy.integrate import quad

import brianlearn as bl
from brianlearn.errors import SpecError
from brianlearn.network import ArcTan, FastSigmoid, Gaussian, Rectangular, Sigmoid, Surrogate, Triangular

SURROGATES = [
    FastSigmoid(),
    FastSigmoid(slope=25),
    Rectangular(),
    Rectangular(width=0.5),
    ArcTan(),
    ArcTan(slope=7.0),
    Sigmoid(),
    Sigmoid(slope=1),
    Triangular(),
    Triangular(width=0.4),
    Gaussian(),
    Gaussian(width=2.0),
]


@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
def test_expression_equals_the_plain_formula(surrogate):
    x = np.linspace(-3, 3, 601) + 1e-4  # beside the edges of the rectangle
    np.testing.assert_allclose(surrogate(x), reference.surrogate_of(surrogate)(x), rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
def test_expression_is_one_that_brian2_reads(surrogate):
    text = surrogate.expression("x_psi")
    assert parse_expression_dimensions(text, {"x_psi": Variable("x_psi"), **DEFAULT_FUNCTIONS}) is DIMENSIONLESS


@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
def test_area_and_symmetry(surrogate):
    area, _ = quad(lambda x: float(surrogate(x)), 0, 1000, points=[0.05, 0.125, 0.2, 0.25, 0.5, 1.0, 5.0], limit=500)
    # sigma runs from 0 to 1, but for the fast sigmoid: x/(1 + k |x|) from -1/k to 1/k (SuperSpike's normalisation)
    expected = 2 / surrogate.slope if isinstance(surrogate, FastSigmoid) else 1.0
    assert 2 * area == pytest.approx(expected, rel=1e-3)
    x = np.linspace(0.01, 3, 50)
    np.testing.assert_array_equal(surrogate(x), surrogate(-x))
    assert np.all(surrogate(x) <= surrogate(0.0))


@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
def test_no_overflow_far_from_the_threshold(surrogate):
    with np.errstate(all="raise", under="ignore"):
        assert np.all(surrogate(np.array([-1e6, 1e6])) >= 0)
        assert np.isfinite(surrogate(np.array([-1e6, 1e6]))).all()


def test_dalton_surrogate_has_slope_5():
    assert FastSigmoid().slope == 5.0
    assert float(FastSigmoid()(0.2)) == pytest.approx(0.25)


@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan, "5", None, True, [1.0]])
@pytest.mark.parametrize(
    ("kind", "parameter"),
    [
        (FastSigmoid, "slope"),
        (Rectangular, "width"),
        (ArcTan, "slope"),
        (Sigmoid, "slope"),
        (Triangular, "width"),
        (Gaussian, "width"),
    ],
)
def test_wrong_parameters(kind, parameter, value):
    with pytest.raises(SpecError, match=f"{kind.__name__}: {parameter} is wrong") as info:
        kind(**{parameter: value})
    assert info.value.got == repr(value)


def test_the_base_class_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Surrogate()(0.0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "no text"),
        ("1/(1 +", "cannot be read"),
        ("1/(1 + k*abs({x}))", "unknown name 'k'"),
        ("relu({x})", "calls a function"),
        ("{x} if {x} > 0 else 0", "holds"),
        ("{x}.max()", "calls a function"),
        ("1/{x}", "not finite"),
        ("sqrt({x})", "not finite"),
        ("__import__('os')", "calls a function"),
    ],
)
def test_an_expression_of_ones_own_is_checked(text, problem):
    class Mine(bl.Surrogate):
        def expression(self, x):
            return None if text is None else text.format(x=x)

    with pytest.raises(bl.SpecError, match=rf"Mine: .*{problem}"):
        bl.CubaLIF(surrogate=Mine())


def test_a_subclass_without_an_expression_says_what_to_write():
    class Mine(bl.Surrogate):
        def derivative(self, x):
            return 1 / (1 + abs(x))

    with pytest.raises(bl.SpecError, match=r"Mine: it is abstract(.|\n)*expression\(x\)"):
        bl.CubaLIF(surrogate=Mine())
