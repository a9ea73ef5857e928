"""The derivative of the exact propagator by constants of the equations.

With M = [[A, b], [0, 0]] and E = exp(dt M), a loss whose gradient by E is G has by M the gradient dt L(dt M^T, G),
where L(X, Y) is the Frechet derivative of the matrix exponential at X in the direction of Y: the upper right block of

    exp([[X, Y], [0, X]])

(Najfeld and Havel 1995, doi:10.1006/aama.1995.1017; Higham 2008, Functions of Matrices, section 3.2). The derivatives
of M's entries by a constant are symbolic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import sympy

from brianlearn.errors import EquationError
from brianlearn.network.neurons.propagator import LinearSystem, number, numbers_of

__all__ = ["PropagatorGradient"]


class PropagatorGradient:
    """From gradients of a propagator to those of constants.

    Parameters
    ----------
    system : LinearSystem
    names : sequence of str
        Constants.

    Raises
    ------
    EquationError
        A coefficient without a symbolic derivative.
    """

    def __init__(self, system: LinearSystem, names: Sequence[str]) -> None:
        self.system, n = system, len(system.names)
        self._slopes: dict[str, dict[tuple[int, int], sympy.Expr]] = {}
        for name in names:
            slopes = {}
            for i in range(n):
                for j in range(n + 1):
                    entry = system.entry(i, j)
                    symbol = next((s for s in entry.free_symbols if s.name == name), None)
                    if symbol is None:
                        continue
                    slope = entry.diff(symbol)
                    if slope.has(sympy.Derivative, sympy.Subs):
                        raise EquationError(
                            f"d{system.names[i]}/dt",
                            f"a coefficient has no known derivative by the learned constant {name!r}",
                            got=str(entry),
                            expected="arithmetic, exp, log, sqrt, trigonometric and hyperbolic functions",
                            remedy=f"leave {name} out of learn, or use method='exponential_euler'",
                        )
                    slopes[i, j] = slope
            self._slopes[name] = slopes

    def coefficients(self, refractory: bool = False) -> set[tuple[int, int]]:
        """Which entries (i, j) of [P, q] depend on one of the constants; j = n is q."""
        n = len(self.system.names)
        live = [not (refractory and frozen) for frozen in self.system.frozen]
        step = np.zeros((n + 1, n + 1), bool)
        step[:n] = [[live[i] and self.system.entry(i, j) != 0 for j in range(n + 1)] for i in range(n)]
        reach = np.eye(n + 1, dtype=bool) | step
        for _ in range(n + 1):
            reach = reach | (reach.astype(int) @ reach.astype(int) > 0)
        touched = {place for slopes in self._slopes.values() for place in slopes if live[place[0]]}
        return {(i, j) for k, m in touched for i in range(n) for j in range(n + 1) if reach[i, k] and reach[m, j]}

    def pull_back(
        self,
        values: Mapping[str, np.ndarray],
        dt: float,
        gradient: np.ndarray,
        refractory: bool = False,
        exponential: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> dict[str, np.ndarray]:
        """The gradient of constants.

        Parameters
        ----------
        values : dict
            As in `LinearSystem.evaluate`.
        dt : float
            Seconds.
        gradient : numpy.ndarray, shape ([n_neurons,] n, n + 1)
            Of a loss by [P, q], base units.
        refractory : bool
            As in `LinearSystem.evaluate`.
        exponential : callable, optional
            Of matrices (..., m, m); that of scipy, which takes one after the other, where it is not given.

        Returns
        -------
        dict of str to numpy.ndarray
            Constant -> gradient, shape () or (n_neurons,).
        """
        if exponential is None:
            from scipy.linalg import expm  # here, because it takes half of the time of importing brianlearn

            exponential = expm
        matrix = self.system.augmented(values, dt, refractory) * dt
        size = matrix.shape[-1]
        shape = np.broadcast_shapes(matrix.shape[:-2], gradient.shape[:-2])
        block = np.zeros((*shape, 2 * size, 2 * size))
        transposed = np.swapaxes(matrix, -1, -2)
        block[..., :size, :size] = block[..., size:, size:] = transposed
        block[..., : size - 1, size:] = gradient
        # the derivative is linear in its direction: one of size 1 keeps the exponential from scaling by the loss
        scale = np.abs(gradient).max(initial=0.0) or 1.0
        block[..., : size - 1, size:] /= scale
        of_matrix = exponential(block)[..., :size, size:] * (scale * dt)
        numbers, found = numbers_of(values, dt), {}
        for name, slopes in self._slopes.items():
            total = np.zeros(shape)
            for (i, j), slope in slopes.items():
                if not (refractory and self.system.frozen[i]):
                    total = total + of_matrix[..., i, j] * number(slope, numbers)
            found[name] = total
        return found
