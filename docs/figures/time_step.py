"""Draw time_step.png and time_step_brian2.png: the slots of one step of a two-layer network, in their order.

Slots come from the engine's own schedule:  python docs/figures/time_step.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from brianlearn.brian.build.schedule import Schedule, meaning

ROWS = ["readout", "dense1", "conv1", "input"]
COLOURS = {
    "deliver": "#4477aa",
    "decay": "#bbbbbb",
    "integrate": "#66ccee",
    "threshold": "#ccbb44",
    "reset": "#bbbbbb",
    "error": "#ee6677",
    "feedback": "#ee6677",
    "plasticity": "#228833",
    "optimise": "#228833",
}
LABELS = {
    "deliver": "deliver\n+ weight",
    "decay": "decay",
    "integrate": "integrate",
    "threshold": "spike?",
    "reset": "reset",
    "error": "error",
    "feedback": "L, delta",
    "plasticity": "presynaptic spikes x delta\nchange the weight, or its gradient",
    "optimise": "weight update\n(where asked for in every step)",
}


def draw(stem: str, title: str, *, as_brian2: bool) -> None:
    """Draw the figure of a timing."""
    every = Schedule(("conv1", "dense1"), as_brian2=as_brian2).slots()
    own = ("start", "end", "groups", "thresholds", "synapses", "resets")  # Brian2 asks for these; they are empty
    slots = [s for s in every if meaning(s) and s not in own]
    figure, axes = plt.subplots(figsize=(12, 6))
    deliver_x: dict[str, float] = {}
    threshold_x: dict[str, float] = {}
    feedback_x: dict[str, float] = {}
    for x, slot in enumerate(slots):
        layer, _, part = slot.rpartition("_")
        if not layer:
            height, bottom = len(ROWS) - 1.3, -0.35
        else:
            height, bottom = 0.7, len(ROWS) - 1 - ROWS.index(layer) - 0.35
        axes.bar(x, height, width=0.92, bottom=bottom, color=COLOURS[part], edgecolor="white", linewidth=1.5)
        colour = "white" if part in ("deliver", "plasticity", "optimise") else "black"
        size = 8.5 if layer else 7.5
        middle = bottom + height / 2
        axes.text(x, middle, LABELS[part], ha="center", va="center", fontsize=size, rotation=90, color=colour)
        for places, name in ((deliver_x, "deliver"), (threshold_x, "threshold"), (feedback_x, "feedback")):
            if part == name:
                places[layer] = x
    style = dict(arrowstyle="-|>", color="#333333", linewidth=1.4, shrinkA=0, shrinkB=2)
    height_of = {layer: len(ROWS) - 1 - ROWS.index(layer) for layer in ROWS}
    for source, target in (("input", "conv1"), ("conv1", "dense1"), ("dense1", "readout")):
        start, end = (threshold_x[source], height_of[source] + 0.37), (deliver_x[target], height_of[target] - 0.37)
        axes.annotate("", end, start, arrowprops=style)
    for target in ("conv1", "dense1") if as_brian2 else ():
        place = deliver_x[target] + 0.6, height_of[target]
        axes.text(*place, "integrated\nin the next\nstep", ha="left", va="center", fontsize=8.5, style="italic")
    error_x = slots.index("readout_error")
    red = style | dict(color="#aa3344")
    start, end = (error_x, height_of["readout"] - 0.37), (feedback_x["dense1"], height_of["dense1"] + 0.37)
    axes.annotate("", end, start, arrowprops=red)
    start, end = (feedback_x["dense1"], height_of["dense1"] - 0.37), (feedback_x["conv1"], height_of["conv1"] + 0.37)
    axes.annotate("", end, start, arrowprops=red)
    axes.set_yticks(range(len(ROWS)), ROWS[::-1])
    axes.set_xticks(range(len(slots)), slots, rotation=55, ha="right", fontsize=8)
    axes.set_xlim(-0.7, len(slots) - 0.3)
    axes.set_ylim(-0.55, len(ROWS) - 0.45)
    axes.set_title(title, fontsize=11)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    figure.tight_layout()
    figure.savefig(Path(__file__).with_name(f"{stem}.png"), dpi=110)
    plt.close(figure)


def main() -> None:
    """Draw both."""
    draw(
        "time_step",
        "One time step, from left to right: spikes go up within the step (dark), errors come down (red)",
        as_brian2=False,
    )
    draw(
        "time_step_brian2",
        "One time step in the order of Brian2: all integrate, all fire, all deliver (dark), all are reset",
        as_brian2=True,
    )


if __name__ == "__main__":
    main()
