"""A network as a script of its own: plain Brian2, its weights beside it."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import brian2
import numpy as np
from brian2.units.fundamentalunits import DIMENSIONLESS, get_dimensions, get_unit

from brianlearn.brian.export.folder import check_new, write_folder
from brianlearn.brian.export.plain_parts import PlainGroup, PlainNetwork, PlainSynapses, plain_network
from brianlearn.network.samples.samples import Samples
from brianlearn.network.spec import NetworkSpec
from brianlearn.network.unit_names import quantity_text

__all__ = ["export_script", "script_of"]

SCRIPT, ARRAYS = "network.py", "network.npz"

_HEAD = '''"""{title}

Plain Brian2: it needs brian2 and numpy, and the arrays in {arrays}. Run it with

    python {script}

It presents {sample}, and prints how often each population fires.
Import it to go on with its network, groups, synapses and monitors.
"""

from pathlib import Path

import numpy as np
from brian2 import *

defaultclock.dt = {dt}
duration = {duration}
arrays = np.load(Path(__file__).with_name("{arrays}"))
network = Network()
groups, synapses, monitors = {{}}, {{}}, {{}}
'''

_TAIL = """
network.add(*groups.values(), *synapses.values())
for name in {fire}:
    monitors[name] = SpikeMonitor(groups[name])
network.add(*monitors.values())

if __name__ == "__main__":
    network.run(duration)
    for name, monitor in monitors.items():
        print(f"{{name}}: {{monitor.num_spikes}} spikes")
"""


def export_script(
    spec: NetworkSpec,
    weights: Mapping[str, np.ndarray],
    folder: str | os.PathLike[str],
    samples: Samples | None = None,
    *,
    seed: int = 0,
    title: str = "A spiking network.",
) -> Path:
    """Write a network and its weights as a script that needs Brian2 and numpy alone.

    Parameters
    ----------
    spec, weights, samples, seed
        As for `brianlearn.to_brian2`.
    folder : path-like
        Must not exist. It appears when it is complete.
    title : str
        First line of the script.

    Returns
    -------
    pathlib.Path
        The folder, with ``network.py`` and ``network.npz``.

    Raises
    ------
    SpecError, WeightsError, DataError
        As for `brianlearn.to_brian2`.
    BrianLearnError
        If the folder exists already, or cannot be written.
    """
    target = check_new(folder)
    text, arrays = script_of(plain_network(spec, weights, samples, seed), title, presented=samples is not None)

    def write(partial: Path) -> None:
        (partial / SCRIPT).write_text(text)
        np.savez_compressed(partial / ARRAYS, **arrays)  # type: ignore[arg-type]

    return write_folder(target, write)


def script_of(plain: PlainNetwork, title: str, *, presented: bool) -> tuple[str, dict[str, np.ndarray]]:
    """The text of a script, and the arrays that it reads.

    Parameters
    ----------
    plain : PlainNetwork
    title : str
    presented : bool
        Whether inputs present a sample.
    """
    arrays: dict[str, np.ndarray] = {}
    sample = "the sample that is stored" if presented else "nothing: give the inputs values, or spikes"
    parts = [
        _HEAD.format(
            title=title,
            arrays=ARRAYS,
            script=SCRIPT,
            sample=sample,
            dt=_quantity(plain.dt),
            duration=_quantity(plain.duration),
        )
    ]
    if plain.schedule is not None:
        slots = textwrap.fill(
            ", ".join(map(repr, plain.schedule)), 100, initial_indent="    ", subsequent_indent="    "
        )
        parts.append(
            "# the order of a time step: a spike reaches the next population within the step\n"
            f"network.schedule = [\n{slots}\n]"
        )
    parts += ["\n".join(_group(g, arrays)) for g in plain.groups]
    parts += ["\n".join(_synapses(s, arrays)) for s in plain.synapses]
    fire = [g.name for g in plain.groups if g.threshold or g.spikes is not None]
    return "\n\n".join(parts) + "\n" + _TAIL.format(fire=repr(fire)), arrays


def _group(g: PlainGroup, arrays: dict[str, np.ndarray]) -> Iterator[str]:
    mine = f"groups[{g.name!r}]"
    yield f"# {g.name}: {g.about}"
    if g.spikes is not None:
        arrays[f"{g.name}.neurons"], arrays[f"{g.name}.steps"] = g.spikes
        spikes = f'arrays["{g.name}.neurons"], arrays["{g.name}.steps"]*defaultclock.dt'
        yield f"{mine} = SpikeGeneratorGroup({g.n}, {spikes}, name={g.name!r})"
        if g.when:
            yield f"{mine}.when = {g.when['threshold']!r}"
        return
    yield f"{mine} = NeuronGroup("
    yield f"    {g.n},"
    yield f"    {_text(g.model)},"
    for name, text in (("threshold", g.threshold), ("reset", g.reset)):
        if text:
            yield f"    {name}={_text(text)},"
    if g.refractory is not None:
        yield f"    refractory={_quantity(g.refractory)},"
    if g.method is not None:
        yield f"    method={g.method!r},"
    constants = ", ".join(f"{name!r}: {_quantity(value)}" for name, value in g.constants.items())
    yield f"    namespace={{{constants}}},"
    yield f"    name={g.name!r},"
    yield ")"
    for name, value in g.values.items():
        if np.ndim(value) == 0:
            yield f"{mine}.{name} = {_quantity(value)}"
        else:
            arrays[f"{g.name}.{name}"] = np.asarray(value, float)
            yield f'{mine}.{name} = arrays["{g.name}.{name}"]' + _times(value)
    for k, r in enumerate(g.regular):
        name = f"{g.name}_regularly_{k}"
        yield f"{mine}.run_regularly({_text(r.code)}, when={r.when!r}, order={r.order}, name={name!r})"
    places = {"state_updater": ".state_updater", "threshold": ".thresholder['spike']", "reset": ".resetter['spike']"}
    there = {"state_updater": g.method is not None, "threshold": bool(g.threshold), "reset": bool(g.reset)}
    for what, slot in g.when.items():
        if there[what]:
            yield f"{mine}{places[what]}.when = {slot!r}"


def _synapses(s: PlainSynapses, arrays: dict[str, np.ndarray]) -> Iterator[str]:
    mine, name = f"synapses[{s.name!r}]", f"synapses_{s.name}"
    arrays |= {f"{name}.pre": s.pre, f"{name}.post": s.post, f"{name}.w": s.weights}
    yield f"# {s.name}: from {s.source} to {s.target}"
    yield f"{mine} = Synapses("
    yield f"    groups[{s.source!r}], groups[{s.target!r}], '{s.weight} : {s.unit}', on_pre={s.on_pre!r}, name={name!r}"
    yield ")"
    yield f'{mine}.connect(i=arrays["{name}.pre"], j=arrays["{name}.post"])'
    yield f'{mine}.{s.weight} = arrays["{name}.w"]' + ("" if s.unit == "1" else f"*({s.unit})")
    if s.delay.any() and s.delay.min() == s.delay.max():
        yield f"{mine}.delay = {int(s.delay[0])}*defaultclock.dt"
    elif s.delay.any():
        arrays[f"{name}.delay"] = s.delay
        yield f'{mine}.delay = arrays["{name}.delay"]*defaultclock.dt'
    if s.when:
        yield f"{mine}.pre.when = {s.when!r}"


def _text(code: str) -> str:
    """A text of Brian2, over several lines where it has some."""
    lines = [line.strip() for line in code.strip().splitlines()]
    if len(lines) == 1:
        return repr(lines[0])
    return '"""\n' + "\n".join(f"    {line}" for line in lines) + '\n    """'


def _times(value: Any) -> str:
    dim = get_dimensions(value)
    return "" if dim is DIMENSIONLESS else f"*({get_unit(dim)!r})"


def _quantity(value: Any) -> str:
    """One quantity as a person writes it, where that is the same number."""
    number, dim = float(np.asarray(value)), get_dimensions(value)
    if dim is DIMENSIONLESS:
        return repr(number)
    near = quantity_text(value).replace(" ", "*", 1)
    same = eval(near, dict(vars(brian2)))
    return near if float(np.asarray(same)) == number else f"{number!r}*({get_unit(dim)!r})"
