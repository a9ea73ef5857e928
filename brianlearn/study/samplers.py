"""Which points of the axes a study tries: all of a grid, or so many drawn from them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from brianlearn.errors import SpecError
from brianlearn.study.axes import Axis

__all__ = ["REPEATED", "SAMPLERS", "Point", "points"]

Point = dict[str, Any]
#: Samplers by name. "saltelli" and "morris" are those of an analysis of sensitivity (`brianlearn.study.sensitivity`);
#: "search" chooses each point by what the ones before it have shown (`brianlearn.study.sources`).
SAMPLERS = ("grid", "random", "sobol", "latin-hypercube", "saltelli", "morris", "search")
#: The axis that is no parameter but a repetition: each point is tried with each of its values.
REPEATED = "seed"
#: Points that are drawn in vain, because ``where`` refuses them, before a study gives up.
PATIENCE = 1000


def points(
    axes: Sequence[Axis],
    sampler: str = "grid",
    budget: int | None = None,
    where: Callable[[Point], bool] | None = None,
    seed: int = 0,
) -> list[Point]:
    """The points of a study whose sampler does not look at results.

    Parameters
    ----------
    axes : sequence of Axis
    sampler : {"grid", "random", "sobol", "latin-hypercube", "saltelli", "morris"}
        ``"sobol"`` and ``"latin-hypercube"`` are those of ``scipy.stats.qmc``, scrambled; ``"saltelli"`` and
        ``"morris"`` those of SALib.
    budget : int, optional
        Number of points, seeds not counted; a grid has all of them where it is not given, else the first so many. Of
        ``"saltelli"`` and ``"morris"`` the number N of base points or trajectories.
    where : callable, optional
        Point -> whether it is tried.
    seed : int, optional
        Of the draw.

    Returns
    -------
    list of dict
        Axis name -> value.

    Raises
    ------
    SpecError
    """
    repeated = [axis for axis in axes if axis.name == REPEATED]
    others = [axis for axis in axes if axis.name != REPEATED]
    if sampler == "grid":
        grid = [dict(zip([a.name for a in axes], values, strict=True)) for values in _product(axes)]
        found = [point for point in grid if where is None or where(point)]
        return found if budget is None else found[:budget]
    if budget is None:
        raise SpecError("Study", f"the sampler {sampler!r} needs a budget", expected="budget=..., a number of points")
    if sampler in ("saltelli", "morris"):
        from brianlearn.study.sensitivity import sensitivity_points

        if where is not None:
            raise SpecError("Study", f"the sampler {sampler!r} needs all of its points", got="where=...")
        chosen = sensitivity_points(others, {"saltelli": "sobol"}.get(sampler, sampler), budget, seed)
    else:
        chosen = _accepted(_draw(others, sampler, budget, seed), others, budget, where)
    if not repeated:
        return chosen
    return [point | {REPEATED: again} for point in chosen for again in repeated[0].values]


def _product(axes: Sequence[Axis]) -> Iterator[tuple[Any, ...]]:
    return itertools.product(*(axis.values for axis in axes))


def point_at(axes: Sequence[Axis], shares: Sequence[float]) -> Point:
    """The point at shares between 0 and 1 of the axes."""
    found = {}
    for axis, share in zip(axes, shares, strict=True):
        if axis.span is not None:
            found[axis.name] = axis.span.at(float(share))
        else:
            found[axis.name] = axis.values[min(int(share * len(axis.values)), len(axis.values) - 1)]
    return found


def _draw(axes: Sequence[Axis], sampler: str, budget: int, seed: int) -> Iterator[np.ndarray]:
    """Shares of the axes: batch after batch of rows, without end."""
    from scipy.stats import qmc

    if sampler == "random":
        rng = np.random.default_rng([seed, 0x5D1])
        while True:
            yield rng.random((budget, len(axes)))
    if sampler == "sobol":
        engine = qmc.Sobol(len(axes), scramble=True, rng=np.random.default_rng([seed, 0x5D2]))
        while True:
            # powers of two keep the sequence balanced; what is over is not used
            yield (
                engine.random_base2(max(budget - 1, 1).bit_length())
                if engine.num_generated == 0
                else engine.random(engine.num_generated)
            )
    if sampler == "latin-hypercube":
        rng = np.random.default_rng([seed, 0x5D3])
        while True:
            yield qmc.LatinHypercube(len(axes), rng=rng).random(budget)
    raise SpecError("Study", "unknown sampler", got=repr(sampler), expected=", ".join(map(repr, SAMPLERS)))


def _accepted(
    batches: Iterator[np.ndarray], axes: Sequence[Axis], budget: int, where: Callable[[Point], bool] | None
) -> list[Point]:
    if not axes:
        raise SpecError("Study", "there is no axis to draw from beside the seed", expected="another axis, or a grid")
    found: list[Point] = []
    refused = 0
    for batch in batches:
        for shares in batch:
            point = point_at(axes, shares)
            if where is None or where(point):
                found.append(point)
                if len(found) == budget:
                    return found
            else:
                refused += 1
        if refused > PATIENCE and refused > 100 * len(found):
            raise SpecError(
                "Study", "`where` refuses nearly all points", got=f"{len(found)} of {len(found) + refused} accepted"
            )
    return found
