"""Error paths: from where the third factor L of a layer comes.

The L of a layer is the sum of what its paths bring, and a rule says which paths each layer has
(`ThreeFactorRule.paths`); an engine builds paths and asks for no rule by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from brianlearn.network.spec import NetworkSpec, Projection

__all__ = [
    "OF_RULES",
    "Fixed",
    "Path",
    "Paths",
    "Transpose",
    "fixed_weights",
    "readout_groups",
    "readouts_of",
    "transposed",
]

#: How names of the fixed weights of rules begin, beside those of the network's own readout.
OF_RULES = ("readout_", "feedback_")


@dataclass(frozen=True, eq=False)
class Fixed:
    """L += R^T err: the error of a readout, through weights R that never change.

    Attributes
    ----------
    weights : Projection
        R, from the population to the classes, shape (classes, neurons). It is what the readout itself reads where its
        target is the readout (`NetworkSpec.readout_of`), else a matrix that carries errors alone.
    readout : str
        The readout whose error err = y - target goes down.
    """

    weights: Projection
    readout: str

    @property
    def name(self) -> str:
        """Of the weights that carry the error."""
        return self.weights.name

    @property
    def reads(self) -> bool:
        """Whether the weights are those of the readout itself."""
        return self.weights.target == self.readout


@dataclass(frozen=True)
class Transpose:
    """L += W^T (psi L) of the layer above: the error of the layer that a projection leads to, through its weights.

    Attributes
    ----------
    projection : str
        Name of the projection, whose source is the layer.
    """

    projection: str

    @property
    def name(self) -> str:
        """Of the weights that carry the error."""
        return self.projection


Path = Fixed | Transpose
#: Layer -> the paths that its third factor adds up.
Paths = Mapping[str, tuple[Path, ...]]


def _fixed(paths: Paths) -> Iterator[Fixed]:
    return (path for found in paths.values() for path in found if isinstance(path, Fixed))


def readouts_of(paths: Paths) -> dict[str, Projection]:
    """The readouts that errors come from: population that is looked at -> the projection onto its (last) readout."""
    return {path.weights.source: path.weights for path in _fixed(paths) if path.reads}


def readout_groups(spec: NetworkSpec, paths: Paths) -> dict[str, tuple[Projection, ...]]:
    """All readouts that a network has under a rule: those of the network, and those of the rule's paths.

    Returns
    -------
    dict
        Name of the readout -> the projections onto it.
    """
    found = {readout.name: spec.onto(readout.name) for readout in spec.graph.readouts}
    for path in _fixed(paths):
        if path.reads and path.readout not in found:
            found[path.readout] = (path.weights,)
    return found


def fixed_weights(paths: Paths) -> list[Projection]:
    """All weights that carry errors and never change: readouts, and matrices of their own."""
    return list({path.name: path.weights for path in _fixed(paths)}.values())


def transposed(paths: Paths) -> frozenset[str]:
    """Names of the projections that errors go down through."""
    return frozenset(path.projection for found in paths.values() for path in found if isinstance(path, Transpose))
