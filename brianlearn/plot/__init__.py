"""Pictures of networks, of what they do and how they learn: functions that draw into matplotlib axes, and return them.

Each takes ``ax=`` to draw into a figure of your own; without it a new figure is made, which notebooks show. Save it in
any format with ``ax.figure.savefig("picture.pdf")``. Colours are told apart with every kind of colour vision.
"""

from brianlearn.error_hook import install
from brianlearn.named_arguments import name_arguments
from brianlearn.plot.confusion import confusion
from brianlearn.plot.heat_map import heat_map
from brianlearn.plot.learning import learning_curve
from brianlearn.plot.network import network
from brianlearn.plot.rates import rates
from brianlearn.plot.spikes import raster
from brianlearn.plot.targets import targets
from brianlearn.plot.traces import eligibility, membranes, surrogate, third_factor
from brianlearn.plot.weights import kernels, weight_histogram, weights

__all__ = [
    "confusion",
    "eligibility",
    "heat_map",
    "kernels",
    "learning_curve",
    "membranes",
    "network",
    "raster",
    "rates",
    "surrogate",
    "targets",
    "third_factor",
    "weight_histogram",
    "weights",
]

install()
name_arguments(globals())
