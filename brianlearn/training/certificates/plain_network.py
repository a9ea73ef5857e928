"""A whole network in plain torch, one time step after the other: the independent side of a certificate.

Written from docs/schedule.md. Every projection is a matrix (out, in), made from its list of synapses; what arrives in
step t was fired in step t - delay. What inputs send, and dropout masks, are those of the engine: that inputs fire the
same spikes in both engines is another check.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.run.activity import DiscreteActivity
from brianlearn.discrete.step.encoding import dropout_mask, encode_all, given_spikes
from brianlearn.errors import SpecError
from brianlearn.network.learned_constants import constant_values
from brianlearn.network.learned_delays import UNIT
from brianlearn.network.neurons.noise import noise_keys
from brianlearn.network.projection import Projection
from brianlearn.network.spec import NetworkSpec
from brianlearn.training.certificates.plain_neuron import Fired, PlainNeuron

__all__ = ["Base", "PlainNetwork", "PlainRun", "affordable", "matrix"]

Tensor = torch.Tensor
#: (population, step) -> what it did.
Base = Mapping[tuple[str, int], Fired]
#: Bytes that a run may take: what autograd keeps of all steps, and matrices of all projections.
MEMORY = 2 * 2**30
#: Tensors that a step of a population leaves for autograd, about.
KEPT = 30


def matrix(p: Projection, weights: Tensor) -> Tensor:
    """The weights of a projection as a matrix (out, in), with a gradient."""
    order = torch.from_numpy(np.asarray(p.connectivity.pack(np.arange(weights.numel()).reshape(weights.shape))))
    post, pre, which = (torch.from_numpy(a.astype(np.int64)) for a in _synapses(p))
    values = weights.flatten()[order.flatten()[which]] * p.connectivity.factor
    return torch.zeros(p.n_post, p.n_pre, dtype=torch.float64).index_put((post, pre), values, accumulate=True)


def _synapses(p: Projection) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found = p.connectivity
    return found.post, found.pre, found.weight


def _bytes(spec: NetworkSpec) -> tuple[int, int]:
    """What a sample takes, and all matrices."""
    values = KEPT * spec.n_steps * sum(p.n for p in spec.neurons)
    return 8 * values, 24 * sum(q.n_pre * q.n_post for q in (*spec.pathways, *spec.readout_projections))


def affordable(spec: NetworkSpec) -> int:
    """Samples that a plain loop may run at once; 0 where its matrices alone are too large.

    Parameters
    ----------
    spec : NetworkSpec

    Returns
    -------
    int
    """
    each, matrices = _bytes(spec)
    return max(0, MEMORY - matrices) // each


class PlainActivity(DiscreteActivity):
    """Activity whose trains are filtered in a loop."""

    def filtered(self, trains: Tensor, decay: float, gain: float) -> Tensor:
        found, a = [], torch.zeros_like(trains[0])
        for x in trains:
            a = decay * a + gain * x
            found.append(a)
        return torch.stack(found)


@dataclass(eq=False)
class PlainRun:
    """What a batch did.

    Attributes
    ----------
    activity : DiscreteActivity
    sent : dict
        Population -> what others hear of it, shape (T, B, neurons).
    done : dict
        (population, step) -> `Fired`.
    masks : dict
        Population -> its dropout mask, shape (B, neurons) or (T, B, neurons).
    readouts : dict
        Readout -> its values, shape (T, B, out).
    matrices : dict
        Pathway -> its matrix.
    """

    activity: DiscreteActivity
    sent: dict[str, Tensor]
    done: dict[tuple[str, int], Fired]
    masks: dict[str, Tensor]
    readouts: dict[str, Tensor]
    matrices: dict[str, Tensor] = field(default_factory=dict)


class PlainNetwork:
    """A network with plain operations of torch alone, in double precision.

    Parameters
    ----------
    spec : NetworkSpec
    inputs : array_like or Events
        Of a batch.
    keys : numpy.ndarray of uint64, shape (B, 2)
    epoch : int
        Whose spread learned delays have.
    learning : bool
        Whether dropout drops spikes.

    Raises
    ------
    SpecError
        A batch that would take too much memory.
    """

    def __init__(self, spec: NetworkSpec, inputs: Any, keys: np.ndarray, *, epoch: int, learning: bool) -> None:
        self.spec, self.keys, self.epoch, self.n = spec, keys, epoch, len(keys)
        self._check_memory()
        like = torch.zeros((), dtype=torch.float64)
        with torch.no_grad():
            heard = encode_all(spec, inputs, like, keys)
            self._given = given_spikes(spec, heard)
            self._heard = {name: sent.expand(spec.n_steps, *sent.shape[1:]).flatten(2) for name, sent in heard.items()}
        self.masks = {}
        for p in spec.neurons:
            mask = dropout_mask(p, spec.n_steps, self.n, like, keys) if learning else None
            if mask is not None:
                self.masks[p.name] = mask.flatten(-len(p.shape))

    def _check_memory(self) -> None:
        if affordable(self.spec) < self.n:
            each, matrices = _bytes(self.spec)
            raise SpecError(
                "the plain loop",
                "it keeps every step of every neuron and a matrix of every projection, which is too much here",
                got=f"about {(matrices + self.n * each) / 2**30:.1f} GiB for {self.n} samples",
                expected=f"at most {MEMORY / 2**30:.0f} GiB",
                remedy="fewer samples, or a smaller network of the same kinds of layers",
            )

    def mask(self, name: str, t: int) -> Tensor | None:
        """The dropout mask of a population in a step."""
        found = self.masks.get(name)
        return found if found is None or found.ndim == 2 else found[t]

    def run(
        self,
        weights: Mapping[str, Tensor],
        *,
        reset_kept: bool = False,
        base: Base | None = None,
        apart: bool = False,
    ) -> PlainRun:
        """All steps of a batch of trials.

        Parameters
        ----------
        weights : mapping
            Name -> tensor of double precision.
        reset_kept : bool
            Whether the spike that resets passes gradient.
        base : mapping, optional
            Of a real run: spikes are smooth around it.
        apart : bool
            Whether no gradient goes from one population to another.
        """
        spec, dt = self.spec, float(self.spec.dt)
        matrices = self._matrices(weights)
        noisy = {p.name: noise_keys(p.name, self.keys) for p in spec.neurons if p.neuron.random}  # type: ignore[union-attr]
        learned = {name: w.detach().numpy() for name, w in weights.items()}
        neurons = {
            p.name: PlainNeuron(
                p,
                dt,
                self.n,
                spec.n_steps,
                constant_values(spec.learned_constants, p.name, learned),
                noisy.get(p.name),
                pipelined=spec.timing == "pipelined",
            )
            for p in spec.neurons
        }
        sent: dict[str, list[Tensor]] = {name: list(values) for name, values in self._heard.items()}
        sent |= {p.name: [] for p in spec.neurons}
        done: dict[tuple[str, int], Fired] = {}
        order = [name for names in spec.graph.components for name in names]
        late = spec.timing == "pipelined"

        def arrived(name: str, t: int) -> list[Any]:
            ports: list[Any] = [0.0] * len(neurons[name].neuron.inputs)
            for q in spec.pathways_onto(name):
                past = t - q.delay_steps(dt) - late
                if past >= 0:
                    source = sent[q.source][past]
                    ports[q.port] = ports[q.port] + (source.detach() if apart else source) @ matrices[q.name].T
            return ports

        def finish(name: str, t: int) -> None:
            one, mask = done[name, t], self.mask(name, t)
            sent[name].append(one.spikes if mask is None else one.spikes * mask)

        for t in range(spec.n_steps):
            for name in order:
                neurons[name].begin(t)
                if spec.timing != "brian2":
                    neurons[name].receive(arrived(name, t))
                done[name, t] = neurons[name].fire(None if base is None else base[name, t])
                finish(name, t)
                if spec.timing != "brian2":
                    neurons[name].reset(done[name, t], kept=reset_kept)
            for name in order if spec.timing == "brian2" else ():
                neurons[name].deliver_after(arrived(name, t), done[name, t])
                neurons[name].reset(done[name, t], kept=reset_kept)
        stacked = {name: torch.stack(values) for name, values in sent.items()}
        spikes = dict(self._given)
        for p in (spec.graph.by_name[name] for name in order):
            spikes[p.name] = torch.stack([done[p.name, t].spikes for t in range(spec.n_steps)]).unflatten(2, p.shape)
        readouts = {r.name: self.read(r.name, spec.onto(r.name), stacked, weights) for r in spec.graph.readouts}
        others = dict(readouts)
        activity = PlainActivity(spikes, others.pop(spec.output, None), spec.burn_in_steps, others=others)
        return PlainRun(activity, stacked, done, self.masks, readouts, matrices)

    def _matrices(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found, spec = {}, self.spec
        for q in spec.pathways:
            w = weights[q.weights_of]
            if q.shared_by is not None:
                w = w * self._share(q, weights[q.delay_name])
            found[q.name] = matrix(q, w)
        return found

    def _share(self, q: Projection, delays: Tensor) -> Tensor:
        """What of learned weights arrives after the delay of a pathway: a Gaussian around the delay, of sum 1."""
        learned, dt = q.shared_by, float(self.spec.dt)
        assert learned is not None
        low, high = (int(end) for end in learned.steps(dt))
        mine, width = q.delay_steps(dt), learned.width(self.epoch, dt)
        if not width:
            return torch.from_numpy((learned.rounded(delays.detach().numpy(), dt) == mine).astype(float))
        heights = [torch.exp(-0.5 * ((lag - delays * UNIT / dt) / width) ** 2) for lag in range(low, high + 1)]
        return heights[mine - low] / torch.stack(heights).sum(0)

    def read(
        self, name: str, onto: tuple[Projection, ...], sent: Mapping[str, Tensor], weights: Mapping[str, Tensor]
    ) -> Tensor:
        """A readout in all steps, shape (T, B, out): y <- decay y + W s."""
        graph = self.spec.graph
        tau = graph.tau_of(name if name in graph.by_name else self.spec.output)
        decay = 0.0 if tau is None else float(np.exp(-float(self.spec.dt) / float(tau)))
        sums = sum(sent[q.source] @ weights[q.name].reshape(q.n_post, q.n_pre).T for q in onto)
        found, y = [], torch.zeros(self.n, onto[0].n_post, dtype=torch.float64)
        for t in range(self.spec.n_steps):
            now = t - (self.spec.timing == "pipelined")
            y = decay * y + (sums[now] if now >= 0 else 0.0)  # type: ignore[index]
            found.append(y)
        return torch.stack(found)
