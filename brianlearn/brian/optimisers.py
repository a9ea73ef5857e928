"""Optimisers as Brian2 statements on a weights group."""

from __future__ import annotations

from brianlearn.rules.optimisers import SGD, Adam, Momentum, Optimiser

__all__ = ["update_statements"]


def update_statements(optimiser: Optimiser, scale: float, count: str) -> str:
    """Statements of one weight update.

    Parameters
    ----------
    optimiser : Optimiser
    scale : float
        2/n_l^R, which makes the accumulated sum a gradient.
    count : str
        Expression for the number of samples in the gradient; 0 means that nothing is updated now.

    Returns
    -------
    str
        Statements over weight, gradient (the sum over events), lr, the optimiser's slots and k (updates so far).
    """
    lines = [f"update = int({count} > 0)", f"mean = {scale!r}*gradient/clip({count}, 1, inf)"]
    if isinstance(optimiser, SGD):
        lines += ["weight = weight - update*lr*mean"]
    elif isinstance(optimiser, Momentum):
        lines += [
            f"m = update*({float(optimiser.momentum)!r}*m + mean) + (1 - update)*m",
            "weight = weight - update*lr*m",
        ]
    elif isinstance(optimiser, Adam):
        beta1, beta2, eps = (float(x) for x in (optimiser.beta1, optimiser.beta2, optimiser.eps))
        lines = [f"k = k + int({count} > 0)", *lines]
        lines += [
            f"m = update*({beta1!r}*m + {1 - beta1!r}*mean) + (1 - update)*m",
            f"v = update*({beta2!r}*v + {1 - beta2!r}*mean**2) + (1 - update)*v",
            f"m_hat = m/(1 - {beta1!r}**clip(k, 1, inf))",
            f"v_hat = v/(1 - {beta2!r}**clip(k, 1, inf))",
            f"weight = weight - update*lr*m_hat/(sqrt(v_hat) + {eps!r})",
        ]
    else:
        raise TypeError(f"no statements for {type(optimiser).__name__}")
    return "\n".join([*lines, "gradient = 0"])
