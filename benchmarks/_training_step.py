"""One library, one network: training steps on request. Runs in the library's own environment (see peers.py).

    python _training_step.py LIBRARY NETWORK THREADS [DEVICE]

Reads a line per training step from standard input and answers with its seconds; a line ``end`` makes it print the peak
memory in MiB (of the GPU, where it runs on one), what of it was there when the module was built, and leave.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

if sys.argv[1] == "brianlearn":
    import brianlearn.discrete  # sets how OpenMP's threads wait, if it comes before torch

import torch
from _networks import NETWORKS, Network
from torch import nn

TAU_M, TAU_S = 20.0, 5.0
#: Share of steps with a spike, of the input, and at least of every layer of brianlearn.
RATE = 0.1
#: Torch's name of the device that trains.
DEVICE = sys.argv[4] if len(sys.argv) > 4 else "cpu"
#: Peak memory in MiB when the module was built.
built = 0.0


def maps(network: Network, conv: Callable[..., nn.Module], linear: Callable[..., nn.Module]) -> list[nn.Module]:
    """The synaptic maps: convolution with pool, then dense layers and the readout."""
    found: list[nn.Module] = []
    shape = network.shape
    for (before, after), (channels, kernel) in zip(network.sizes(), network.convolutions, strict=True):
        found.append(conv(before[0], channels, kernel))
        shape = after
    n = shape[0] * shape[1] * shape[2]
    for size in (*network.dense, network.classes):
        found.append(linear(n, size))
        n = size
    return found


def resident() -> float:
    """Peak memory until now, in MiB: what torch took of a GPU, or the process's own."""
    if DEVICE != "cpu":
        return torch.cuda.max_memory_allocated() / 2**20
    # not getrusage: its peak begins with that of the process which started this one
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def train(model: nn.Module, run: Callable[[torch.Tensor], torch.Tensor], network: Network) -> Callable[[], None]:
    """A training step: forward, squared error of the mean readout, backward, Adam."""
    global built
    model.to(DEVICE)
    built = resident()
    torch.manual_seed(0)
    # in place: nothing that making inputs takes is to be mistaken for what training takes
    spikes = torch.empty(network.steps, network.batch, *network.shape).bernoulli_(RATE).to(DEVICE)
    if hasattr(model, "spec"):
        fire(model, spikes)
    target = nn.functional.one_hot(torch.arange(network.batch) % network.classes, network.classes).float().to(DEVICE)
    optimiser = torch.optim.Adam(model.parameters(), 1e-4)

    def step() -> None:
        loss = ((run(spikes) - target) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if DEVICE != "cpu":
            torch.cuda.synchronize()

    return step


def brianlearn(network: Network) -> Callable[[], None]:
    from brian2 import ms

    import brianlearn as bl

    neuron = bl.CubaLIF(tau_m=TAU_M * ms, tau_s=TAU_S * ms, R=4.0)
    layers = [bl.Conv(channels, kernel, neuron, pool=2) for channels, kernel in network.convolutions]
    layers += [bl.Dense(size, neuron) for size in network.dense]
    duration, readout = network.steps * ms, bl.Readout(network.classes)
    spec = bl.NetworkSpec(bl.Input(network.shape, bl.Spikes()), layers, readout, duration=duration)
    if network.recurrent:
        kind = bl.AllToAll() if network.recurrent == 1 else bl.Sparse(network.recurrent)
        own = [bl.Projection(f"own_{p.name}", p.name, p.name, kind, bl.Normal(0.5), delay=1 * ms) for p in spec.neurons]
        spec = bl.NetworkSpec(
            populations=spec.populations, projections=[*spec.graph.projections, *own], duration=duration
        )
    module = bl.export(spec)
    return train(module, lambda spikes: module(spikes).logits, network)


def fire(module: nn.Module, spikes: torch.Tensor) -> None:
    """Scale the weights of one layer after the other until its neurons fire in ``RATE`` of all steps, at least.

    The others compute with every neuron in every step, so that rates make no difference to them.
    """
    with torch.no_grad():
        for name in [p.name for p in module.spec.projections if not p.delayed]:
            while module(spikes).spikes[name].mean() < RATE:
                module.get_parameter(name).mul_(1.2)


def snntorch(network: Network) -> Callable[[], None]:
    import snntorch as snn
    from snntorch import surrogate

    beta, alpha = float(torch.exp(torch.tensor(-1 / TAU_M))), float(torch.exp(torch.tensor(-1 / TAU_S)))
    layers = nn.ModuleList(maps(network, nn.Conv2d, nn.Linear))
    common = dict(alpha=alpha, beta=beta, spike_grad=surrogate.fast_sigmoid(slope=5))
    if network.recurrent:
        neurons = nn.ModuleList(snn.RSynaptic(**common, linear_features=n) for n in network.dense)
    else:
        neurons = nn.ModuleList(snn.Synaptic(**common) for _ in range(len(layers) - 1))
    pool, n_conv = nn.AvgPool2d(2), len(network.convolutions)

    def run(spikes: torch.Tensor) -> torch.Tensor:
        states = [neuron.reset_mem() for neuron in neurons]
        total = torch.zeros(network.batch, network.classes, device=DEVICE)
        for x in spikes:
            for k, layer in enumerate(layers):
                x = x.flatten(1) if k == n_conv else x
                x = pool(layer(x)) if k < n_conv else layer(x)
                if k < len(neurons):
                    x, *states[k] = neurons[k](x, *states[k])
                    states[k] = [x, *states[k]] if network.recurrent else states[k]
            total = total + x
        return total / network.steps

    return train(nn.ModuleList([layers, neurons]), run, network)


def norse(network: Network) -> Callable[[], None]:
    import norse.torch as nt

    parameters = nt.LIFParameters(
        tau_syn_inv=torch.tensor(1000 / TAU_S), tau_mem_inv=torch.tensor(1000 / TAU_M), alpha=torch.tensor(5.0)
    )
    layers = nn.ModuleList(maps(network, nn.Conv2d, nn.Linear))
    if network.recurrent:  # cells that hear themselves have the weights of their inputs as well
        cells = nn.ModuleList(
            nt.LIFRecurrentCell(layer.in_features, layer.out_features, parameters) for layer in layers[:-1]
        )
        layers = nn.ModuleList([*(nn.Identity() for _ in cells), layers[-1]])
    else:
        cells = nn.ModuleList(nt.LIFCell(parameters) for _ in range(len(layers) - 1))
    pool, n_conv = nn.AvgPool2d(2), len(network.convolutions)

    def run(spikes: torch.Tensor) -> torch.Tensor:
        states: list[object] = [None] * len(cells)
        total = torch.zeros(network.batch, network.classes, device=DEVICE)
        for x in spikes:
            for k, layer in enumerate(layers):
                x = x.flatten(1) if k == n_conv else x
                x = pool(layer(x)) if k < n_conv else layer(x)
                if k < len(cells):
                    x, states[k] = cells[k](x, states[k])
            total = total + x
        return total / network.steps

    return train(nn.ModuleList([layers, cells]), run, network)


def spikingjelly(network: Network) -> Callable[[], None]:
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    found = maps(network, layer.Conv2d, layer.Linear)
    parts: list[nn.Module] = []
    for k, synapses in enumerate(found):
        if k == len(network.convolutions):
            parts.append(layer.Flatten())
        parts.append(synapses)
        if k < len(network.convolutions):
            parts.append(layer.AvgPool2d(2))
        if k < len(found) - 1:
            cell: nn.Module = neuron.LIFNode(tau=TAU_M, surrogate_function=surrogate.ATan(), detach_reset=True)
            if network.recurrent:
                size = network.dense[k]
                cell = layer.LinearRecurrentContainer(cell, in_features=size, out_features=size)
            parts.append(cell)
    model = nn.Sequential(*parts)
    functional.set_step_mode(model, "m")

    def run(spikes: torch.Tensor) -> torch.Tensor:
        functional.reset_net(model)
        return model(spikes).mean(0)

    return train(model, run, network)


def main() -> None:
    library, name = sys.argv[1:3]
    torch.set_num_threads(int(sys.argv[3]))
    step = {"brianlearn": brianlearn, "snntorch": snntorch, "norse": norse, "spikingjelly": spikingjelly}[library](
        NETWORKS[name]
    )
    step()
    step()
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "end":
            break
        started = time.perf_counter()
        step()
        print(time.perf_counter() - started, flush=True)
    print(resident(), flush=True)
    print(built, flush=True)


if __name__ == "__main__":
    main()
