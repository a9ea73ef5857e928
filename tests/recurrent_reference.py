"""Graphs with cycles, delays and sparse projections in plain numpy, step by step, and random ones to run.

Written from the definition: what arrives through a projection with a delay of d steps in step t was fired in step t - d
of the same trial, x_p[t] = s_source[t - d]; within a step populations follow one another along projections without a
delay. A weight's gradient is g_p += 2/n^R (psi gate L)_target[t] outer x_p[t] (or the trace of x_p), where L comes down
through projections without a delay alone. A bias is the weight of a source that fires in every step: 1, or its trace.

Under the timing "brian2" all populations of a step are integrated and fire; then everything that arrives in the step is
delivered, and then those that fired are reset. Traces take the place of membranes: they hear, like these, what was
delivered in the step before.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import reference
from brian2 import ms
from hypothesis import strategies as st

import brianlearn as bl

CLASSES, T, N = 3, 14, 3

NEURONS = {
    "cuba": bl.CubaLIF(R=4.0, tau_s=3 * ms),
    "refractory": bl.CubaLIF(R=6.0, tau_s=2 * ms, refractory=2 * ms),
    "floor": bl.DaltonIF(tau_s=2 * ms),
    "delta": bl.LIF(tau_m=8 * ms),
    "adaptive": bl.AdaptiveLIF(tau_m=10 * ms, tau_a=15 * ms),
}
#: Neurons whose reset changes the variable to which spikes are delivered, or that take none while they are refractory.
ENTANGLED = {
    "subtracts": bl.LIF(tau_m=8 * ms, reset="v -= 1"),
    "forgets": bl.CubaLIF(R=4.0, tau_s=3 * ms, reset="v = 0; I = 0.1"),
    "frozen": bl.LIF(equations="dv/dt = -v/tau_m : 1 (unless refractory)", refractory=2 * ms),
    "frozen for one step": bl.LIF(equations="dv/dt = -v/tau_m : 1 (unless refractory)", refractory=1 * ms),
}


@st.composite
def graphs(
    draw: Any, neurons: tuple[str, ...] = tuple(NEURONS), timing: str = "same_step", least: int = 1
) -> bl.NetworkSpec:
    """Populations 1 to 4 with cycles, delays of 0 to 5 steps, dense and sparse projections, biases, 1 or 2 readouts.

    In a cycle, one delay is ``least`` steps at least.
    """
    kinds = {**NEURONS, **ENTANGLED}
    n = draw(st.integers(1, 4))
    names = [f"p{k}" for k in range(n)]
    sizes = [draw(st.integers(3, 7)) for _ in names]
    populations = [bl.Population("input", (6,), bl.IntegrateAndFireEncoder())]
    populations += [
        bl.Population(name, size, kinds[draw(st.sampled_from(neurons))])
        for name, size in zip(names, sizes, strict=True)
    ]
    projections = []

    def project(source: str, target: str, delay: int, shortest: int | None = None) -> None:
        kind: Any = bl.Sparse(0.6, seed=draw(st.integers(0, 9))) if draw(st.booleans()) else bl.AllToAll()
        delays: Any = delay
        if shortest is not None and draw(st.sampled_from([False, False, True])):  # one for each synapse
            ends = [6 if n == "input" else sizes[names.index(n)] for n in (source, target)]
            shape = kind.weight_shape((ends[0],), (ends[1],))
            delays = np.random.default_rng(draw(st.integers(0, 9))).integers(shortest, delay + 1, shape)
        name = f"{source}_{target}_{len(projections)}"
        sign: Any = draw(st.sampled_from([None, None, "excitatory", "inhibitory", "each"]))
        if sign == "each":
            size = 6 if source == "input" else sizes[names.index(source)]
            sign = [draw(st.sampled_from([1, -1])) for _ in range(size)]
        bias = draw(st.sampled_from([False, False, bl.Uniform(0.5)]))
        projections.append(
            bl.Projection(name, source, target, kind, bl.Normal(3.0), delay=delays * ms, sign=sign, bias=bias)
        )

    for k, name in enumerate(names):
        project(draw(st.sampled_from(["input", *names[:k]])), name, draw(st.integers(0, 2)), 0)
        if k + 1 < n:
            project(name, names[k + 1], 0)
    for _ in range(draw(st.integers(1, 4))):
        a, b = draw(st.integers(0, n - 1)), draw(st.integers(0, n - 1))
        project(names[a], names[b], draw(st.integers(0 if a < b else least, 5)), 0 if a < b else least)
    tau = draw(st.sampled_from([None, 5 * ms]))
    populations.append(bl.Population("out", CLASSES, bl.LinearReadout(tau=tau)))
    bias = draw(st.sampled_from([False, bl.Uniform(0.5)]))
    projections.append(bl.Projection("to_out", names[-1], "out", weights=bl.Uniform(1.0), bias=bias))
    if n > 1 and draw(st.booleans()):
        source = draw(st.sampled_from([names[0], "input"]))
        projections.append(bl.Projection("aside", source, "out", weights=bl.Uniform(1.0)))
    order = draw(st.permutations(populations))
    return bl.NetworkSpec(
        populations=order,
        projections=projections,
        duration=T * ms,
        burn_in=draw(st.integers(0, 2)) * ms,
        timing=timing,
    )


def lags(p: bl.Projection, dt: float) -> np.ndarray:
    """The delay of every pair of neurons in steps, (out, in)."""
    delays = np.asarray(p.delay, float)
    steps = np.round((delays if delays.ndim else np.full(p.weight_shape, float(delays))) / dt)
    return matrix(p, steps).astype(int)


def matrix(p: bl.Projection, weights: np.ndarray) -> np.ndarray:
    """The weights of a dense or sparse projection as a matrix (out, in)."""
    if weights.ndim == 2:
        return weights
    found = np.zeros((p.n_post, p.n_pre))
    np.add.at(found, (p.connectivity.post, p.connectivity.pre), weights[p.connectivity.weight])
    return found


def by_weight(p: bl.Projection, found: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A gradient (out, in) as that of the projection's weights."""
    if len(shape) == 2:
        return found
    result = np.zeros(prod(shape))
    np.add.at(result, p.connectivity.weight, found[p.connectivity.post, p.connectivity.pre])
    return result


class AsBrian2(reference.Population):
    """A population whose step has Brian2's order: integration, threshold, delivery, reset."""

    def fire(self) -> reference.LayerStep:
        neuron, v = self.neuron, self.neuron.membrane
        self.since_spike = self.since_spike + 1
        self.ready = self.since_spike >= neuron.refractory
        moving = {name: self.ready if name in neuron.frozen else np.ones_like(self.ready) for name in neuron.states}
        state = neuron.step(dict(self.state), moving)
        gate = np.ones(self.ready.shape)
        if neuron.floor is not None:
            gate = (state[v] >= neuron.floor).astype(float)
            state[v] = np.maximum(state[v], neuron.floor)
        distance = state[v] - neuron.threshold(state)
        self.fired = self.ready & (distance > 0)
        self.since_spike = np.where(self.fired, 0, self.since_spike)
        self.state = state
        return reference.LayerStep(self.fired.astype(float), self.ready * neuron.psi(distance / neuron.v_scale), gate)

    def deliver(self, sums: np.ndarray) -> None:
        neuron, name = self.neuron, self.neuron.input
        takes = self.ready & ~self.fired if name in neuron.frozen else np.ones_like(self.ready)
        state = {**self.state, name: self.state[name] + takes * neuron.weight_unit * sums}
        after = neuron.reset(state)
        self.state = {name: np.where(self.fired, after[name], state[name]) for name in state}


def simulate(
    spec: bl.NetworkSpec, weights: Any, x: np.ndarray, targets: np.ndarray, rule: Any
) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, np.ndarray]]:
    """Spikes (n, T, neurons) by population, mean readout, and mean gradients of TFR, DALTON or DFA.

    Targets are labels (n,), or values (n, out) or (n, T, out); err = y - target in each step.
    """
    if targets.ndim == 1:
        targets = np.eye(CLASSES)[targets]
    wanted = np.asarray(targets if targets.ndim == 3 else np.repeat(targets[:, None], T, axis=1))
    dt = float(spec.dt)
    given = next(p.name for p in spec.populations if p.is_input)
    by_name = {p.name: p for p in spec.populations}
    onto_neurons = [p for p in spec.projections if p.source != "always"]
    onto_readouts = [p for p in spec.readout_projections if p.source != "always"]
    every = [*onto_neurons, *onto_readouts]
    bias = {p.name: weights[f"{p.name}_bias"] for p in every if f"{p.name}_bias" in weights}
    W = {p.name: matrix(p, weights[p.name]) for p in every}
    order = [p.name for p in spec.neurons]
    lag = {p.name: lags(p, dt) for p in every}
    by_lag = {name: {d: each == d for d in np.unique(each)} for name, each in lag.items()}
    neurons = {n: reference.neuron_of(by_name[n].neuron, dt, (by_name[n].n,)) for n in order}
    tau = by_name["out"].neuron.tau
    decay = 0.0 if tau is None else np.exp(-dt / float(tau))
    spikes = {n: np.zeros((len(x), T, by_name[n].n)) for n in (given, *order)}
    spikes[given] = np.stack([reference.integrate_and_fire()(v, T).reshape(T, -1) for v in x])
    logits, burn_in = np.zeros((len(x), CLASSES)), round(float(spec.burn_in) / dt)
    g = {p.name: np.zeros((p.n_post, p.n_pre)) for p in onto_neurons}
    g_bias = {p.name: np.zeros(p.n_post) for p in onto_neurons if p.name in bias}
    kind = "" if rule is None else type(rule).__name__
    for k in range(len(x)):
        as_brian2 = spec.timing == "brian2"
        kind_of = AsBrian2 if as_brian2 else reference.Population
        run = {n: kind_of(reference.Dense(n, by_name[n].n, neurons[n]), (by_name[n].n,)) for n in order}
        traces = {
            p.name: {d: reference.Trace(neurons[p.target], (p.n_pre,)) for d in by_lag[p.name]} for p in onto_neurons
        }
        of_ones = {n: reference.Trace(neurons[n], (1,)) for n in order}
        y, local = np.zeros(CLASSES), {n: np.zeros(CLASSES) for n in order}
        for t in range(T):
            heard, done, target = {}, {}, wanted[k, t]

            def arrives(p: bl.Projection, t: int = t, k: int = k) -> dict[int, np.ndarray]:
                """What was fired by each delay ago."""
                sent = spikes[p.source][k]
                return {d: sent[t - d] if t >= d else np.zeros(p.n_pre) for d in by_lag[p.name]}

            def brought(p: bl.Projection, heard: Any) -> np.ndarray:
                found = sum((W[p.name] * which) @ heard[p.name][d] for d, which in by_lag[p.name].items())
                return np.asarray(found + bias.get(p.name, 0.0))

            before = {p.name: arrives(p, t - 1) for p in onto_neurons}
            for n in order if as_brian2 else ():
                done[n] = run[n].fire()
                spikes[n][k, t] = done[n].spikes
            for n in order:
                onto = [p for p in onto_neurons if p.target == n]
                heard |= {p.name: arrives(p) for p in onto}
                if as_brian2:
                    run[n].deliver(sum(brought(p, heard) for p in onto))
                    continue
                done[n] = run[n].receive(sum(brought(p, heard) for p in onto))
                spikes[n][k, t] = done[n].spikes
            y = decay * y + sum(W[q.name] @ spikes[q.source][k, t] + bias.get(q.name, 0.0) for q in onto_readouts)
            if t >= burn_in:
                logits[k] += y / (T - burn_in)
            if rule is None:
                continue
            moved, one = (before, np.full(1, float(t > 0))) if as_brian2 else (heard, np.ones(1))
            eligible = {
                name: {d: traces[name][d].advance(moved[name][d]) if rule.eligibility == "trace" else s[d] for d in s}
                for name, s in heard.items()
            }
            ones = {n: of_ones[n].advance(one)[0] if rule.eligibility == "trace" else 1.0 for n in order}
            L: dict[str, np.ndarray] = {}
            for n in reversed(order):
                own = [q for q in onto_readouts if q.source == n]
                parts, units = [W[q.name].T @ (y - target) for q in own], CLASSES * len(own)
                if kind == "TFR" and not own:
                    R = weights[f"readout_{n}"]
                    local[n] = R @ spikes[n][k, t] + decay * local[n]
                    parts, units = [R.T @ (local[n] - target)], CLASSES
                if kind == "DFA" and not own:
                    parts, units = [weights[f"feedback_{n}"].T @ (y - target)], CLASSES
                if kind == "DALTON":
                    above = [q for q in onto_neurons if q.source == n and not lag[q.name].any()]
                    parts += [W[q.name].T @ (done[q.target].psi * L[q.target]) for q in above]
                    units += sum(q.n_post for q in above)
                L[n] = sum(parts)
                if t >= burn_in:
                    error = 2 / units * done[n].psi * done[n].gate * L[n]
                    for p in onto_neurons:
                        if p.target == n:
                            for d, which in by_lag[p.name].items():
                                g[p.name] += which * np.outer(error, eligible[p.name][d])
                            if p.name in bias:
                                g_bias[p.name] += error * ones[n]
    found = {p.name: by_weight(p, g[p.name], weights[p.name].shape) / len(x) for p in onto_neurons}
    return spikes, logits, found | {f"{name}_bias": each / len(x) for name, each in g_bias.items()}


def samples(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and labels."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 0.9, (N, 6)), rng.integers(0, CLASSES, N)
