"""The 8 x 8 digits of scikit-learn: dense layers of 512 and 1024 neurons, about a minute.

Run it with ``python network_specs/digits.py --epochs 5`` or ``brianlearn train network_specs/digits.py --rule tfr``.
"""

from brian2 import ms

import brianlearn as bl


def experiment() -> bl.Experiment:
    """DALTON on digits."""
    neuron = bl.DaltonIF(tau_s=1 * ms)
    image = bl.Input(shape=(1, 8, 8), encoder=bl.DirectCurrent(gain=0.5))
    layers = [bl.Dense(size, neuron, weights=bl.Normal(1.0)) for size in (512, 1024)]
    spec = bl.NetworkSpec(image, layers, bl.Readout(10), duration=20 * ms)
    return bl.Experiment(
        spec,
        rule=bl.DALTON(),
        optimiser=bl.Adam(3e-3, halve_every=8),
        data="digits",
        epochs=30,
        batch_size=20,
        augment=bl.RandomAffine(rotation=7, scale=0.05, shear=0.07, shift=0.3),
    )


if __name__ == "__main__":
    bl.main(experiment)
