"""Study kinds: what the field asks of a network, one call each."""

from brianlearn.study.kinds.base import Kind, Values
from brianlearn.study.kinds.depth import depth
from brianlearn.study.kinds.dt_convergence import against_finest, dt_convergence
from brianlearn.study.kinds.heterogeneity import heterogeneity
from brianlearn.study.kinds.quantisation import quantisation
from brianlearn.study.kinds.rate_accuracy import pareto, rate_accuracy
from brianlearn.study.kinds.robustness import robustness
from brianlearn.study.kinds.silenced import silenced

__all__ = [
    "KINDS",
    "Kind",
    "Values",
    "against_finest",
    "depth",
    "dt_convergence",
    "heterogeneity",
    "pareto",
    "quantisation",
    "rate_accuracy",
    "robustness",
    "silenced",
]

#: Study kinds by their names on the command line.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("robustness", robustness),
        Kind("quantisation", quantisation),
        Kind("silenced", silenced),
        Kind("heterogeneity", heterogeneity),
        Kind("dt-convergence", dt_convergence),
        Kind("rate-accuracy", rate_accuracy),
        Kind("depth", depth),
    )
}
