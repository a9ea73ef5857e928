"""Which edges of a cycle without a delay take a time step.

NIR's cycles take no time; a simulation in steps needs one step somewhere along each. Readers that follow nirtorch take
what the node that comes later gave in the step before. Here it is the edge that closes a cycle on a walk from the
inputs, depth first, in the order of the edges: of a population that hears itself, the way from it to itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["closing"]


def closing(starts: Iterable[str], leads: Mapping[str, Iterable[str]]) -> set[tuple[str, str]]:
    """The edges that close a cycle.

    Parameters
    ----------
    starts : iterable of str
        Where the walk begins: inputs, then all others.
    leads : mapping
        Population -> those to which it leads without a delay, in order.

    Returns
    -------
    set of (str, str)
    """
    done: set[str] = set()
    found: set[tuple[str, str]] = set()
    for start in starts:
        if start in done:
            continue
        stack = [(start, iter(leads.get(start, ())))]
        within = {start}
        while stack:
            name, rest = stack[-1]
            after = next(rest, None)
            if after is None:
                stack.pop()
                within.discard(name)
                done.add(name)
            elif after in within:
                found.add((name, after))
            elif after not in done:
                within.add(after)
                stack.append((after, iter(leads.get(after, ()))))
    return found
