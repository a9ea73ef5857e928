"""The networks A1 to A5 of the DALTON paper on its data sets, with its training recipe.

Gaurav, Do, Doan & Yi, IEEE Transactions on Emerging Topics in Computing 13(3), 2025, doi 10.1109/TETC.2024.3440932.

``python network_specs/dalton_paper.py --dataset cifar10 --arch A3 --rule tfr --engine discrete``, or the same after
``brianlearn train``. ``--strided`` puts a stride of 2 in the place of each average pool; ``--path`` is the folder of
the data where it is not under ``$BRIANLEARN_DATA``. As in the paper's program, dropout draws its neurons anew in each
step; ``--dropout-every trial`` draws them once.

Images and events alike pass one integrate-and-fire neuron per input. On images the rules learn through time, with one
update per batch; on events online, with an update in every step after the burn-in (``--online`` and ``--no-online``
choose). Both need the discrete engine; the Brian2 engine learns online with one update per batch (``--credit online``).
"""

from dataclasses import dataclass
from typing import Literal

from brian2 import ms

import brianlearn as bl


@dataclass(frozen=True)
class Task:
    """What differs between the paper's data sets. Times are in steps of 1 ms."""

    shape: tuple[int, int, int]
    steps: int
    classes: int = 10
    gain: float = 1.0
    tau_s: int = 5
    burn_in: int = 0
    denoise: int | None = None
    window: bool = False  # recordings are longer than a trial: train with a random part of each

    @property
    def events(self) -> bool:
        """Whether the data are events."""
        return self.shape[0] == 2


#: The paper's synaptic time constant is 1 or 5 ms: with 5 ms an epoch of CIFAR10 teaches nothing.
TASKS = {
    "mnist": Task((1, 28, 28), 40),
    "fashion_mnist": Task((1, 28, 28), 50),
    "cifar10": Task((3, 32, 32), 60, tau_s=1),
    "nmnist": Task((2, 34, 34), 300, burn_in=50, denoise=100),
    "dvs_gesture": Task((2, 32, 32), 500, classes=11, burn_in=50, denoise=100, window=True),
    "cifar10_dvs": Task((2, 32, 32), 500, burn_in=50, denoise=100, window=True),
    # not in the paper: built in, small
    "digits": Task((1, 8, 8), 20),
    "digits_events": Task((2, 16, 16), 60, gain=2.0, burn_in=10),  # few events: each becomes a spike
}

#: Convolutions as (channels, kernel, pooled, dropout), then dense layers.
ARCHITECTURES: dict[str, tuple[list[tuple[int, int, bool, float]], list[int]]] = {
    "A1": ([(16, 3, True, 0.0)], [128, 64]),
    "A2": ([(32, 7, True, 0.1), (32, 5, True, 0.1)], [512, 128]),
    "A3": ([(48, 5, True, 0.0), (64, 3, True, 0.1), (128, 3, True, 0.2)], [512, 256]),
    "A4": ([(24, 3, False, 0.0), (24, 3, True, 0.1), (48, 3, True, 0.2), (48, 3, True, 0.3)], [256, 128]),
    "A5": ([(64, 3, False, 0.0), (64, 3, True, 0.1), (128, 3, True, 0.2), (128, 3, True, 0.3)], [1024, 1024]),
}


def layers(
    arch: str, neuron: bl.Neuron, strided: bool = False, dropout_every: str = "step"
) -> list[bl.Conv | bl.Dense]:
    """The spiking layers of a network of the paper."""
    convolutions, sizes = ARCHITECTURES[arch]
    found: list[bl.Conv | bl.Dense] = [
        bl.Conv(
            channels,
            kernel,
            neuron,
            stride=2 if pooled and strided else 1,
            pool=2 if pooled and not strided else 1,
            dropout=dropout,
            dropout_every=dropout_every,
        )
        for channels, kernel, pooled, dropout in convolutions
    ]
    return found + [bl.Dense(size, neuron) for size in sizes]


def experiment(
    dataset: Literal[
        "mnist", "fashion_mnist", "cifar10", "nmnist", "dvs_gesture", "cifar10_dvs", "digits", "digits_events"
    ] = "mnist",
    arch: Literal["A1", "A2", "A3", "A4", "A5"] = "A1",
    strided: bool = False,
    dropout_every: Literal["step", "trial"] = "step",
    online: bool | None = None,
    path: str | None = None,
) -> bl.Experiment:
    """DALTON on one of the paper's data sets."""
    task = TASKS[dataset]
    online = task.events if online is None else online
    spec = bl.NetworkSpec(
        input=bl.Input(
            task.shape, encoder=(bl.IntegrateEvents if task.events else bl.IntegrateAndFireEncoder)(task.gain)
        ),
        layers=layers(arch, bl.DaltonIF(tau_s=task.tau_s * ms), strided, dropout_every),
        readout=bl.Readout(task.classes),
        duration=task.steps * ms,
        burn_in=task.burn_in * ms,
    )
    augment: bl.RandomWindow | bl.RandomCrop | None = None
    if task.window:
        augment = bl.RandomWindow(task.steps)
    elif arch == "A5" and not task.events:
        augment = bl.RandomCrop(padding=4, flip=0.5 if dataset == "cifar10" else 0.0, rotation=10)
    return bl.Experiment(
        spec,
        rule=bl.DALTON(update="step") if online else bl.DALTON(credit="through_time"),
        optimiser=bl.Adam(1e-3, reset_each_epoch=True, halve_every=30),
        data=bl.DataSource(
            dataset,
            path=path,
            denoise=None if task.denoise is None else task.denoise * ms,
            size=task.shape[1:] if task.window else None,
        ),
        epochs=100,
        batch_size=50,
        augment=augment,
        engine="discrete",
        name=f"{dataset}-{arch}{'-strided' if strided else ''}",
    )


if __name__ == "__main__":
    bl.main(experiment)
