"""Pictures of what a network did and how it learned."""

from brianlearn.report.plots import plot_learning_curve, plot_raster

__all__ = ["plot_learning_curve", "plot_raster"]
