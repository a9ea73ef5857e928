#!/usr/bin/env python3
"""Makes docs/gallery.md and its thumbnails from real runs (``python tools/gallery.py``).

Pictures are those that the tutorials have stored, those in docs/figures, and those that scripts of network_specs draw
into their run folders; ``--keep`` does not run these scripts again, and keeps their thumbnails.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
WIDTH = 420
HEAD = """# Gallery

Pictures from real runs; each links to what makes it. `python tools/gallery.py` makes the page.
"""


@dataclass(frozen=True)
class Entry:
    """A picture.

    Attributes
    ----------
    name : str
        Of the thumbnail.
    title, text : str
    source : str
        A notebook (``tutorials/NAME``), a picture in docs/, or a script that draws into its run folder.
    picture : int or str
        Of a notebook the number of the picture, from 0; of a script the file's name.
    page : str
        What the title links to, in docs/.
    """

    name: str
    title: str
    text: str
    source: str
    picture: int | str
    page: str


def notebook(name: str, picture: int, thumbnail: str, title: str, text: str) -> Entry:
    """A picture of a tutorial."""
    return Entry(thumbnail, title, text, f"tutorials/{name}", picture, f"tutorials/{name}.ipynb")


ENTRIES = (
    notebook("01_first_network", 2, "confusion", "Which digit for which", "Digits of new writers, after DALTON."),
    notebook("01_first_network", 3, "kernels", "What neurons look for", "Weights of the first layer, as images."),
    notebook("02_your_brian2_script", 1, "adopted", "A Brian2 script, taught", "Before and after, in its own objects."),
    notebook("03_three_factor_rules", 1, "membranes", "Membranes and psi", "How near to the threshold, step by step."),
    notebook("03_three_factor_rules", 2, "third_factor", "The broadcast signal", "What every neuron of a layer hears."),
    notebook("03_three_factor_rules", 3, "by_hand", "Three factors by hand", "The same change as the synapses make."),
    notebook("04_dalton_and_depth", 1, "depth", "Errors on their way down", "DALTON's third factor in four layers."),
    notebook(
        "04_dalton_and_depth", 2, "directions", "Whose gradient is it?", "Angles with back-propagation, by layer."
    ),
    Entry(
        "digits_sequence",
        "A rhythm for each digit",
        "Spike trains as labels: circles are wanted, dots fired.",
        "network_specs/digits_sequence.py",
        "sequences.png",
        "stbp.md",
    ),
    Entry(
        "spike_sequence",
        "A sequence for each stimulus",
        "Eight stimuli, and the order of ten motor neurons.",
        "network_specs/spike_sequence.py",
        "sequences.png",
        "targets.md",
    ),
    notebook(
        "06_your_own_neuron", 0, "adex", "An adaptive exponential neuron", "In volts and amperes, for three currents."
    ),
    notebook("07_your_own_rule", 1, "stdp", "STDP as text", "One pair of spikes each, and the textbook."),
    notebook("07_your_own_rule", 2, "reward", "Weights under a reward", "Two patterns, and a number that all hear."),
    notebook("08_event_cameras", 0, "camera", "What an event camera sees", "A digit and three saccades."),
    notebook("08_event_cameras", 3, "event_kernels", "Kernels of events", "16 kernels over both polarities."),
    notebook("09_a_parameter_study", 0, "study", "A parameter study", "Two time constants, two rules, two seeds."),
    Entry(
        "nmnist", "N-MNIST, taught in time", "Recordings of a camera.", "figures/sequence_nmnist.png", 0, "results.md"
    ),
    Entry(
        "depth_study",
        "Accuracy against depth",
        "Three rules, five depths, three seeds.",
        "figures/depth_study.png",
        0,
        "results.md",
    ),
    Entry("time_step", "One time step", "The slots in which things happen.", "figures/time_step.png", 0, "schedule.md"),
)


def page() -> str:
    """The text of docs/gallery.md.

    Returns
    -------
    str
    """
    cards = []
    for entry in ENTRIES:
        by = f"`{entry.source}`" if entry.source.endswith(".py") else f"[how]({entry.page})"
        cards.append(
            f"-   [![{entry.title}: {entry.text}](gallery/{entry.name}.png)]({entry.page})\n\n"
            f"    **{entry.title}**. {entry.text} {by}\n"
        )
    return HEAD + '\n<div class="grid cards" markdown>\n\n' + "\n".join(cards) + "\n</div>\n"


def picture(entry: Entry) -> Image.Image:
    """The picture of an entry, as it was made.

    Parameters
    ----------
    entry : Entry

    Returns
    -------
    PIL.Image.Image
    """
    if entry.source.startswith("tutorials/"):
        book = json.loads((DOCS / f"{entry.source}.ipynb").read_text(encoding="utf-8"))
        outputs = [output for cell in book["cells"] for output in cell.get("outputs", [])]
        pictures = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
        return Image.open(io.BytesIO(base64.b64decode(pictures[int(entry.picture)])))
    if entry.source.startswith("figures/"):
        return Image.open(DOCS / entry.source)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, str(ROOT / entry.source), "--runs", folder], check=True, cwd=folder)
        (made,) = Path(folder).rglob(str(entry.picture))
        found = Image.open(made)
        found.load()
    return found


def main() -> None:
    """Write the page and the thumbnails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="run no scripts; their thumbnails stay")
    keep = parser.parse_args().keep
    (DOCS / "gallery").mkdir(exist_ok=True)
    for entry in ENTRIES:
        path = DOCS / "gallery" / f"{entry.name}.png"
        if keep and entry.source.endswith(".py") and path.exists():
            continue
        full = picture(entry).convert("RGB")
        small = full.resize((WIDTH, round(full.height * WIDTH / full.width)), Image.Resampling.LANCZOS)
        small.quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB", flush=True)
    (DOCS / "gallery.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
