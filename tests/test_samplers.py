"""Points of a study: what each sampler promises, conditions, and that a plan is the same again."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np
import pytest
from brian2 import ms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from brianlearn.errors import SpecError
from brianlearn.study.axes import Axis, linear_space, log_space
from brianlearn.study.condition import condition
from brianlearn.study.samplers import points

SPANS = [
    Axis.make("x", linear_space(-2.0, 6.0)),
    Axis.make("tau", log_space(1 * ms, 100 * ms)),
    Axis.make("n", linear_space(1, 40)),
]
DRAWN = ("random", "sobol", "latin-hypercube")


def _shares(found: list[dict[str, Any]]) -> np.ndarray:
    """Where the points are between the ends of the continuous axes."""
    x = (np.array([p["x"] for p in found]) + 2) / 8
    tau = np.log(np.array([float(p["tau"] / ms) for p in found])) / np.log(100)
    return np.stack([x, tau], axis=1)


@pytest.mark.parametrize("budget", [1, 7, 16, 100])
def test_each_stratum_of_a_latin_hypercube_is_hit_once(budget: int) -> None:
    shares = _shares(points(SPANS, "latin-hypercube", budget, seed=3))
    for column in shares.T:
        np.testing.assert_array_equal(np.sort(np.floor(column * budget)), np.arange(budget))


def test_a_sobol_sequence_is_balanced() -> None:
    """Of 2^m points each dyadic box of volume 2^-m holds one (a (0, m, 2)-net); scrambling keeps that."""
    shares = _shares(points(SPANS[:2], "sobol", 64, seed=1))
    for k in range(7):
        cells = np.floor(shares * [2**k, 2 ** (6 - k)]).astype(int)
        assert len({tuple(cell) for cell in cells}) == 64
    drawn = _shares(points(SPANS[:2], "random", 64, seed=1))
    assert qmc.discrepancy(shares) < qmc.discrepancy(drawn) / 3


def test_sobol_points_are_those_of_scipy() -> None:
    want = qmc.Sobol(3, scramble=True, rng=np.random.default_rng([5, 0x5D2])).random_base2(4)
    found = points(SPANS, "sobol", 11, seed=5)
    np.testing.assert_allclose(_shares(found), want[:11, :2], atol=1e-12)
    assert [p["n"] for p in found] == [min(max(round(1 + 39 * s), 1), 40) for s in want[:11, 2]]


@pytest.mark.parametrize("sampler", DRAWN)
def test_a_plan_is_the_same_again(sampler: str) -> None:
    first, again, other = (points(SPANS, sampler, 20, seed=seed) for seed in (4, 4, 5))
    assert first == again != other
    assert all(-2 <= p["x"] <= 6 and 1 * ms <= p["tau"] <= 100 * ms for p in first)
    assert all(isinstance(p["n"], int) and 1 <= p["n"] <= 40 for p in first)
    assert points(SPANS, sampler, 8, seed=4) == first[:8] or sampler != "random"


@pytest.mark.parametrize("sampler", [*DRAWN, "saltelli", "morris"])
def test_seeds_cross_drawn_points(sampler: str) -> None:
    if sampler in ("saltelli", "morris"):
        pytest.importorskip("SALib")
    seeds = [3, 1, 8]
    axes = [SPANS[0], Axis.make("seed", seeds), SPANS[1]]
    found = points(axes, sampler, 4, seed=0)
    alone = points([SPANS[0], SPANS[1]], sampler, 4, seed=0)
    assert len(found) == 3 * len(alone)
    assert len(alone) == {"saltelli": 4 * (2 + 2), "morris": 4 * (2 + 1)}.get(sampler, 4)
    for k, point in enumerate(alone):
        assert found[3 * k : 3 * k + 3] == [point | {"seed": seed} for seed in seeds]


def test_lists_are_drawn_evenly() -> None:
    axes = [Axis.make("rule", ["a", "b", "c"]), SPANS[0]]
    found = [p["rule"] for p in points(axes, "latin-hypercube", 30, seed=0)]
    assert [found.count(rule) for rule in "abc"] == [10, 10, 10]


def test_a_grid_is_a_product_in_order() -> None:
    axes = [Axis.make("a", [2, 1]), Axis.make("b", [1.0, 2.0] * ms), Axis.make("seed", range(2))]
    found = points(axes)
    want = list(itertools.product([2, 1], [1 * ms, 2 * ms], range(2)))
    assert [tuple(p.values()) for p in found] == want
    assert points(axes, budget=3) == found[:3]
    kept = points(axes, where=lambda p: p["a"] > p["seed"])
    assert kept == [p for p in found if p["a"] > p["seed"]]


@pytest.mark.parametrize("sampler", DRAWN)
def test_conditions_keep_the_budget(sampler: str) -> None:
    accept = condition("tau < 10*ms and x > 0", ["x", "tau", "n"])
    found = points(SPANS, sampler, 25, accept)
    assert len(found) == 25 and all(p["tau"] < 10 * ms and p["x"] > 0 for p in found)
    with pytest.raises(SpecError, match="refuses nearly all points"):
        points(SPANS, sampler, 5, lambda point: False)


OPERATORS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
NUMBER = st.integers(-5, 5)


@st.composite
def conditions(draw: st.DrawFn, depth: int = 3) -> tuple[str, Any]:
    """A text, and the function of (x, tau, layer.size) that it stands for; tau in ms."""
    kind = draw(st.sampled_from(["compare", "unit", "chain", "in"] if depth == 0 else ["compare", "and", "or", "not"]))
    if kind in ("and", "or"):
        (a, f), (b, g) = draw(conditions(depth - 1)), draw(conditions(depth - 1))
        both = (lambda p: f(p) and g(p)) if kind == "and" else (lambda p: f(p) or g(p))
        return f"({a}) {kind} ({b})", both
    if kind == "not":
        a, f = draw(conditions(depth - 1))
        return f"not ({a})", lambda p: not f(p)
    op, k, m = draw(st.sampled_from(sorted(OPERATORS))), draw(NUMBER), draw(NUMBER)
    compare = OPERATORS[op]
    if kind == "unit":
        return f"2*tau {op} {k}*ms", lambda p: compare(2 * p["tau"], k)
    if kind == "chain":
        return f"{k} < x <= layer.size", lambda p: k < p["x"] <= p["layer.size"]
    if kind == "in":
        return f"x in [{k}, {m}]", lambda p: p["x"] in (k, m)
    return f"x {op} layer.size - ({k})", lambda p: compare(p["x"], p["layer.size"] - k)


@given(conditions(), NUMBER, NUMBER, NUMBER)
@settings(deadline=None)
def test_a_condition_means_what_it_says(made: tuple[str, Any], x: int, tau: int, size: int) -> None:
    text, want = made
    accept = condition(text, ["x", "tau", "layer.size"])
    plain = {"x": x, "tau": tau, "layer.size": size}
    assert accept(plain | {"tau": tau * ms}) == want(plain)


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "x <",
        "y > 1",
        "x > __import__('os').getpid()",
        "(lambda: 1)() == 1",
        "x.real > 0",
        "x ** 2 > 1",
        "[k for k in (1,)] == x",
        "x := 3",
        "",
        "x > 'a'",
        "tau > 3",
        "x / 0 > 1",
        "(" * 300 + "x > 1" + ")" * 300,
    ],
)
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        condition(text, ["x", "tau"])({"x": 1, "tau": 3 * ms})
