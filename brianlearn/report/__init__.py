"""Pages about runs and parameter studies, and pictures of studies."""

from brianlearn.report.plots import plot_learning_curve, plot_raster
from brianlearn.report.run.page import write_run_report
from brianlearn.report.study.page import write_report
from brianlearn.report.study.plots import (
    plot_heat_map,
    plot_learning,
    plot_lines,
    plot_parallel,
    plot_pareto,
    plot_search,
)

__all__ = [
    "plot_heat_map",
    "plot_learning",
    "plot_learning_curve",
    "plot_lines",
    "plot_parallel",
    "plot_pareto",
    "plot_raster",
    "plot_search",
    "write_report",
    "write_run_report",
]
