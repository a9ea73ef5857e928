"""Pictures of a parameter study; each takes a `Study`, its ``results()`` or its ``summary()``."""

from brianlearn.report.study.heat_map import plot_heat_map
from brianlearn.report.study.lines import plot_learning, plot_lines
from brianlearn.report.study.parallel import plot_parallel
from brianlearn.report.study.trials import plot_pareto, plot_search

__all__ = ["plot_heat_map", "plot_learning", "plot_lines", "plot_parallel", "plot_pareto", "plot_search"]
