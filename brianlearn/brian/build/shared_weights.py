"""Synapses that share weights: many synapses read and write one kernel entry.

The weights of a layer live in a `NeuronGroup`; each synapse holds an integer index into it. Brian2 resolves names
through a group's ``variables``, so a reference with that index makes ``weight`` (and ``gradient``) of the synapse an
element of the group. This is Brian2's mechanism behind subgroups and linked variables (``Variables.add_reference``); it
is not part of its documented interface, which is why it is used in this module only and has a test of its own
(tests/test_shared_weights.py).
"""

from __future__ import annotations

import numpy as np
from brian2 import NeuronGroup, Synapses

__all__ = ["connect_shared"]


def connect_shared(
    synapses: Synapses,
    weights: NeuronGroup,
    names: tuple[str, ...],
    pre: np.ndarray,
    post: np.ndarray,
    index: np.ndarray | None,
) -> None:
    """Connect synapses whose variables ``names`` are elements of ``weights``.

    Parameters
    ----------
    synapses : brian2.Synapses
        Not connected yet; its model declares ``weight_index : integer (constant)``.
    weights : brian2.NeuronGroup
    names : tuple of str
        Variables of ``weights`` that the synaptic statements use.
    pre, post, index : numpy.ndarray of int, shape (n_synapses,)
        Presynaptic neuron, postsynaptic neuron and element of ``weights``. Without an index every synapse has the
        element of its own place; ``weight_index`` then need not be declared.
    """
    for owner in (synapses, *synapses._pathways):
        for name in names:
            owner.variables.add_reference(name, weights, name, index="_idx" if index is None else "weight_index")
    synapses.connect(i=pre, j=post)
    if index is not None:
        synapses.weight_index = index
