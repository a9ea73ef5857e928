"""Parameter studies: one function, many parameters; grids, samplers and searches; nothing lost."""

from brianlearn.named_arguments import name_arguments
from brianlearn.study.axes import Axis, Span, linear_space, log_space
from brianlearn.study.kinds import (
    KINDS,
    Kind,
    against_finest,
    depth,
    dt_convergence,
    heterogeneity,
    pareto,
    quantisation,
    rate_accuracy,
    robustness,
    silenced,
)
from brianlearn.study.parameters import with_parameters
from brianlearn.study.reporting import SuccessiveHalving, report
from brianlearn.study.simulated import Simulated
from brianlearn.study.simulation import Simulation, simulate
from brianlearn.study.study import Status, Study

__all__ = [
    "KINDS",
    "Axis",
    "Kind",
    "Simulated",
    "Simulation",
    "Span",
    "Status",
    "Study",
    "SuccessiveHalving",
    "against_finest",
    "depth",
    "dt_convergence",
    "heterogeneity",
    "linear_space",
    "log_space",
    "pareto",
    "quantisation",
    "rate_accuracy",
    "report",
    "robustness",
    "silenced",
    "simulate",
    "with_parameters",
]

name_arguments(globals())
