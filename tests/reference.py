"""What is computed, in plain numpy and float64: the reference that every engine must equal.

Written from the equations (docs/rules.md, docs/neurons.md), not from the package: nothing here calls an engine, a
propagator, a synapse list or a surrogate expression of brianlearn. It is slow, and short enough to be read.

One time step of a network with spiking layers l = 1..L, for one sample with label y:

    s_0 = encoder(x)
    for l = 1..L:
        input variable  +=  A_l(W_l) s_{l-1}          deliver the spikes of this step
        state           <-  step(state)               integrate over dt
        gate            =   [v >= floor];  v <- max(v, floor)
        psi             =   sigma'((v - theta)/scale) before the reset; 0 while refractory
        s_l             =   [v > theta], not refractory;  reset where s_l
    y = decay y + R s_L                               readout
    third factors L_l from L down to 1;  g_l += (2/n_l^R) (psi gate L)_l  outer  e_l

and after a batch of B samples (or after every step) W_l <- W_l - optimiser(g_l/B). A_l(W) is the linear map of the
layer: a matrix, or a convolution followed by an average pool. e_l is s_{l-1}, or its trace: what v_l would be if spikes
of s_{l-1} with weight 1 were all that ever happened to it. With dropout, others see s_l times a mask that stands for
the trial, 0 or 1/(1 - rate), and L_l is multiplied by it.

A sample presented to the network is a trial of T steps; all state starts anew.

That is same-step timing. `pipelined` has the other one, in which everything that passes between layers takes a step:

    L_l[t]      =  A_{l+1}(W)^T delta_{l+1}[t-1],  R_L^T err[t-1] for the last layer (TFR: R_l^T err_l[t-1])
    x_l[t]      =  A_l(W_l) s_{l-1}[t-1]           what arrives
    g_l        +=  (2/n_l^R) gated_l[t-1]  outer  s_{l-1}[t-1]
    delta_l[t]  =  L_l[t] psi_l[t-1];  gated_l[t] = delta_l[t] gate_l[t-1]
    then the step of the neurons with x_l[t], which gives psi_l[t], gate_l[t], s_l[t]
    y[t]        =  decay y[t-1] + R_L s_L[t-1];  err[t] = y[t] - onehot(y), 0 during the burn-in

where all that bears [t-1] is 0 in the first step of a trial.

Run a description of the package through it with `run`, or build the network from the dataclasses here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.signal import convolve2d, correlate2d

Array = np.ndarray
State = dict[str, Array]
Surrogate = Callable[[Array], Array]


# surrogate derivatives -----------------------------------------------------------------------------------------------


def fast_sigmoid(k: float = 5.0) -> Surrogate:
    return lambda x: 1 / (1 + k * np.abs(x)) ** 2


def rectangular(w: float = 1.0) -> Surrogate:
    return lambda x: np.where(np.abs(x) < w / 2, 1 / w, 0.0)


def arctan(k: float = 2.0) -> Surrogate:
    return lambda x: (k / 2) / (1 + (np.pi / 2 * k * x) ** 2)


def sigmoid(k: float = 4.0) -> Surrogate:
    return lambda x: k / 4 / np.cosh(k * x / 2) ** 2


def triangular(w: float = 1.0) -> Surrogate:
    return lambda x: np.maximum(0, 1 - np.abs(x) / w) / w


def gaussian(s: float = 0.5) -> Surrogate:
    return lambda x: np.exp(-((x / s) ** 2) / 2) / (s * np.sqrt(2 * np.pi))


# neurons -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Neuron:
    """A neuron as what happens to it in one step.

    step(state, moving) -> state integrates over dt. ``moving[name]`` is 1 where the variable may change and 0 where it
    is held because the neuron is refractory.
    """

    step: Callable[[State, Mapping[str, Array]], State]
    input: str  # the variable that spikes increment
    membrane: str = "v"
    threshold: Callable[[State], Array | float] = lambda state: 1.0
    reset: Callable[[State], State] = lambda state: state | {"v": 0 * state["v"]}
    psi: Surrogate = field(default_factory=fast_sigmoid)
    v_scale: float = 1.0
    weight_unit: float = 1.0  # what a weight of 1 adds
    floor: float | None = None
    refractory: int = 0  # r steps: after a spike in step t, none in t+1 .. t+r-1
    frozen: tuple[str, ...] = ()  # held, for spikes too, while refractory
    initial: Mapping[str, float] = field(default_factory=dict)
    states: tuple[str, ...] = ("v", "c")


def cuba_lif(a: Array | float, b: Array | float, k: Array | float, **options: object) -> Neuron:
    """c[t] = a c[t-1] + W s[t];  v[t] = b v[t-1] + k c[t].

    The decay of c is written after its use: c holds a c[t] between the steps, so the delivery of step t+1 makes it
    a c[t] + W s[t+1].
    """

    def step(state: State, moving: Mapping[str, Array]) -> State:
        v = b * state["v"] + k * state["c"]
        return {"v": np.where(moving["v"], v, state["v"]), "c": np.where(moving["c"], a * state["c"], state["c"])}

    return Neuron(step, input="c", states=("v", "c"), **options)


def dalton_if(a: float, **options: object) -> Neuron:
    """c[t] = a c[t-1] + W s[t];  v[t] = max(v[t-1] + c[t], 0)."""
    return cuba_lif(a, 1.0, 1.0, **({"floor": 0.0} | options))


def delta_lif(b: Array | float, **options: object) -> Neuron:
    """v[t] = b (v[t-1] + W s[t]): spikes step the membrane, which then decays over the step."""

    def step(state: State, moving: Mapping[str, Array]) -> State:
        return {"v": np.where(moving["v"], b * state["v"], state["v"])}

    return Neuron(step, input="v", states=("v",), **options)


def adaptive_lif(b: Array | float, rho: Array | float, beta: Array | float, **options: object) -> Neuron:
    """`delta_lif` whose threshold 1 + beta q grows by beta with every spike; q decays by rho per step."""

    def step(state: State, moving: Mapping[str, Array]) -> State:
        v, q = b * state["v"], rho * state["q"]
        return {"v": np.where(moving["v"], v, state["v"]), "q": np.where(moving["q"], q, state["q"])}

    def reset(state: State) -> State:
        return {"v": 0 * state["v"], "q": state["q"] + 1}

    fields = dict(threshold=lambda state: 1 + beta * state["q"], reset=reset)
    return Neuron(step, input="v", states=("v", "q"), **(fields | options))


def stepped(derivative: Callable[[State], State], dt: float, method: str = "euler") -> Callable:
    """The step of any neuron dx/dt = derivative(x), by Euler's rule or the midpoint rule (rk2).

    Any other scheme is a Python function step(state, moving) of one's own.
    """

    def slope(state: State, moving: Mapping[str, Array]) -> State:
        return {name: moving[name] * value for name, value in derivative(state).items()}

    def advance(state: State, slopes: State, h: float) -> State:
        return {name: state[name] + h * slopes[name] for name in state}

    def euler(state: State, moving: Mapping[str, Array]) -> State:
        return advance(state, slope(state, moving), dt)

    def rk2(state: State, moving: Mapping[str, Array]) -> State:
        return advance(state, slope(advance(state, slope(state, moving), dt / 2), moving), dt)

    return {"euler": euler, "rk2": rk2}[method]


def eif(
    dt: float,
    tau_m: float,
    tau_s: float,
    delta_T: float,
    v_T: float,
    v_peak: float,
    method: str = "euler",
    **options: object,
) -> Neuron:
    """Exponential integrate-and-fire: tau_m dv/dt = -v + delta_T exp((v - v_T)/delta_T) + c;  tau_s dc/dt = -c."""

    def derivative(state: State) -> State:
        v, c = state["v"], state["c"]
        return {"v": (-v + delta_T * np.exp((v - v_T) / delta_T) + c) / tau_m, "c": -c / tau_s}

    fields = dict(threshold=lambda state: v_peak)
    return Neuron(stepped(derivative, dt, method), input="c", states=("v", "c"), **(fields | options))


# layers: one linear map, its transpose, its gradient -----------------------------------------------------------------


@dataclass(frozen=True)
class Dense:
    name: str
    size: int
    neuron: Neuron

    def shape(self, source: tuple[int, ...]) -> tuple[int, ...]:
        return (self.size,)

    def forward(self, W: Array, s: Array) -> Array:
        return W @ s.ravel()

    def backward(self, W: Array, d: Array, source: tuple[int, ...]) -> Array:
        return (W.T @ d).reshape(source)

    def gradient(self, W: Array, d: Array, s: Array) -> Array:
        return np.outer(d, s.ravel())


@dataclass(frozen=True)
class Conv:
    name: str
    channels: int
    kernel: int
    neuron: Neuron
    stride: int = 1
    padding: int = 0
    pool: int = 1

    def shape(self, source: tuple[int, ...]) -> tuple[int, ...]:
        sides = [((n + 2 * self.padding - self.kernel) // self.stride + 1) // self.pool for n in source[1:]]
        return (self.channels, *sides)

    def forward(self, W: Array, s: Array) -> Array:
        return average_pool(convolve(W, s, self.stride, self.padding), self.pool)

    def backward(self, W: Array, d: Array, source: tuple[int, ...]) -> Array:
        fine = average_pool_transpose(d, self.pool, self._unpooled(source))
        return convolve_transpose(W, fine, self.stride, self.padding, source)

    def gradient(self, W: Array, d: Array, s: Array) -> Array:
        fine = average_pool_transpose(d, self.pool, self._unpooled(s.shape))
        return kernel_gradient(fine, s, self.kernel, self.stride, self.padding)

    def _unpooled(self, source: tuple[int, ...]) -> tuple[int, ...]:
        return replace(self, pool=1).shape(source)


def _pad(s: Array, padding: int) -> Array:
    return np.pad(s, ((0, 0), (padding, padding), (padding, padding)))


def _dilate(d: Array, stride: int) -> Array:
    wide = np.zeros((len(d), *((n - 1) * stride + 1 for n in d.shape[1:])))
    wide[:, ::stride, ::stride] = d
    return wide


def convolve(W: Array, s: Array, stride: int, padding: int) -> Array:
    """The convolution of neural networks: a cross-correlation with kernels W (out, in, kh, kw)."""
    padded = _pad(s, padding)
    maps = [sum(correlate2d(x, w, "valid") for x, w in zip(padded, kernels, strict=True)) for kernels in W]
    return np.array(maps)[:, ::stride, ::stride]


def convolve_transpose(W: Array, d: Array, stride: int, padding: int, source: tuple[int, ...]) -> Array:
    """The transpose of `convolve` as a map of s: spread every d over the inputs that it came from."""
    wide = _dilate(d, stride)
    padded = np.zeros((source[0], source[1] + 2 * padding, source[2] + 2 * padding))
    for c in range(source[0]):
        full = sum(convolve2d(x, kernels[c], "full") for x, kernels in zip(wide, W, strict=True))
        padded[c, : full.shape[0], : full.shape[1]] = full  # inputs that no stride reaches get nothing
    return padded[:, padding : padding + source[1], padding : padding + source[2]]


def kernel_gradient(d: Array, s: Array, kernel: int, stride: int, padding: int) -> Array:
    """The transpose of `convolve` as a map of W: for each kernel entry, the sum of d times the inputs it multiplied."""
    wide, padded = _dilate(d, stride), _pad(s, padding)
    gradient = [[correlate2d(x, e, "valid")[:kernel, :kernel] for x in padded] for e in wide]
    return np.array(gradient)


def average_pool(x: Array, p: int) -> Array:
    """Mean over p x p windows; a rest that does not fill a window is left out."""
    rows, cols = x.shape[1] // p, x.shape[2] // p
    return x[:, : rows * p, : cols * p].reshape(len(x), rows, p, cols, p).mean(axis=(2, 4))


def average_pool_transpose(d: Array, p: int, source: tuple[int, ...]) -> Array:
    fine = np.zeros(source)
    fine[:, : d.shape[1] * p, : d.shape[2] * p] = np.kron(d, np.ones((p, p))) / p**2
    return fine


# encoders: values of one sample -> what the first layer sees, (T, *shape) --------------------------------------------


def integrate_and_fire(gain: float = 1.0, bias: float = 0.0) -> Callable[[Array, int], Array]:
    def encode(x: Array, n_steps: int) -> Array:
        spikes, v = np.zeros((n_steps, *x.shape)), np.zeros(x.shape)
        for t in range(n_steps):
            v = v + (gain * x + bias)
            spikes[t] = v > 1
            v = np.where(v > 1, 0.0, v)
        return spikes

    return encode


def direct_current(gain: float = 1.0) -> Callable[[Array, int], Array]:
    return lambda x, n_steps: np.broadcast_to(gain * x, (n_steps, *x.shape))


def spikes_as_given(x: Array, n_steps: int) -> Array:
    """Inputs that are spike trains (T, *shape) already."""
    return x[:n_steps].astype(float)


# the network ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    layers: Sequence[Dense | Conv]
    classes: int
    n_steps: int
    encoder: Callable[[Array, int], Array] = field(default_factory=integrate_and_fire)
    burn_in: int = 0  # steps that prediction and loss leave out
    decay: float = 0.0  # of a leaky readout, per step; 0: memoryless
    timing: str = "same_step"  # or "pipelined"


@dataclass(frozen=True)
class Rule:
    kind: str  # "tfr" or "dalton"
    burn_in: int = 0  # steps without learning
    update: str = "batch"  # or "step": after every time step, batches of one sample
    eligibility: str = "spike"  # or "trace"
    scale: Mapping[str, float] = field(default_factory=dict)  # of the learning rate, by layer


@dataclass(frozen=True)
class Optimiser:
    kind: str  # "sgd", "momentum" or "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8


@dataclass
class Result:
    """Spikes: layer name ("input" included) -> (n, T, *shape). Gradients: one dict per weight update."""

    weights: dict[str, Array]
    slots: dict[str, dict[str, Array]]
    steps: int
    spikes: dict[str, Array]
    readout: Array
    logits: Array
    loss: Array
    gradients: list[dict[str, Array]]


@dataclass
class LayerStep:
    """What one layer did in one step."""

    spikes: Array
    psi: Array
    gate: Array


class Population:
    """The state of one layer during one trial."""

    def __init__(self, layer: Dense | Conv, shape: tuple[int, ...]) -> None:
        self.layer, self.neuron = layer, layer.neuron
        self.state = {name: np.full(shape, float(self.neuron.initial.get(name, 0.0))) for name in self.neuron.states}
        self.since_spike = np.full(shape, 10**9)  # steps since the last spike, counted at the start of a step

    def advance(self, W: Array, presynaptic: Array) -> LayerStep:
        return self.receive(self.layer.forward(W, presynaptic))

    def receive(self, sums: Array) -> LayerStep:
        """One step with the weighted sums of presynaptic spikes."""
        neuron, v = self.neuron, self.neuron.membrane
        self.since_spike = self.since_spike + 1
        ready = self.since_spike >= neuron.refractory
        moving = {name: ready if name in neuron.frozen else np.ones_like(ready) for name in neuron.states}

        delivered = neuron.weight_unit * sums
        state = dict(self.state)
        state[neuron.input] = state[neuron.input] + moving[neuron.input] * delivered
        state = neuron.step(state, moving)

        gate = np.ones(ready.shape)
        if neuron.floor is not None:
            gate = (state[v] >= neuron.floor).astype(float)
            state[v] = np.maximum(state[v], neuron.floor)

        distance = state[v] - neuron.threshold(state)
        psi = ready * neuron.psi(distance / neuron.v_scale)
        spikes = ready & (distance > 0)
        after = neuron.reset(state)
        self.state = {name: np.where(spikes, after[name], state[name]) for name in state}
        self.since_spike = np.where(spikes, 0, self.since_spike)
        return LayerStep(spikes.astype(float), psi, gate)


class Trace:
    """The linear response of a layer's neurons to presynaptic spikes, by running one of them for every presynaptic one.

    The step of a linear neuron is affine: what the state adds to it is step(state) - step(0).
    """

    def __init__(self, neuron: Neuron, shape: tuple[int, ...]) -> None:
        self.neuron, self.moving = neuron, {name: np.ones(shape, bool) for name in neuron.states}
        self.zero = {name: np.zeros(shape) for name in neuron.states}
        self.state = dict(self.zero)

    def advance(self, presynaptic: Array) -> Array:
        neuron, state = self.neuron, dict(self.state)
        state[neuron.input] = state[neuron.input] + neuron.weight_unit * presynaptic
        drift = neuron.step(self.zero, self.moving)
        self.state = {name: value - drift[name] for name, value in neuron.step(state, self.moving).items()}
        return self.state[neuron.membrane] / neuron.v_scale


# rules ---------------------------------------------------------------------------------------------------------------


def logits_of(rule: Rule, network: Network, shapes: Sequence[tuple[int, ...]]) -> list[int]:
    """n_l^R: how many logits the readout of each layer has."""
    if rule.kind == "tfr":
        return [network.classes] * len(network.layers)
    return [int(np.prod(shape)) for shape in shapes[2:]] + [network.classes]


def third_factors(
    rule: Rule,
    network: Network,
    weights: Mapping[str, Array],
    done: Sequence[LayerStep],
    y: Array,
    target: Array,
    masks: Mapping[str, Array],
) -> list[Array]:
    """L_l for every layer; y[l] is the readout of layer l in this step (DALTON uses the last one only)."""
    last = len(network.layers) - 1
    factors: list[Array] = [np.zeros(0)] * (last + 1)
    heard = [masks.get(layer.name, 1.0) for layer in network.layers]
    if rule.kind == "tfr":
        for k, layer in enumerate(network.layers):
            R = weights["readout" if k == last else f"readout_{layer.name}"]
            factors[k] = heard[k] * (R.T @ (y[k] - target)).reshape(done[k].spikes.shape)
        return factors
    factors[last] = heard[last] * (weights["readout"].T @ (y[last] - target)).reshape(done[last].spikes.shape)
    for k in range(last - 1, -1, -1):  # err_{k} = L_{k+1} psi_{k+1}, and L_k = A_{k+1}^T err_k
        above = network.layers[k + 1]
        error = factors[k + 1] * done[k + 1].psi
        factors[k] = heard[k] * above.backward(weights[above.name], error, done[k].spikes.shape)
    return factors


class Optimisation:
    """Slots of all layers, and one update."""

    def __init__(self, optimiser: Optimiser, weights: Mapping[str, Array], names: Sequence[str]) -> None:
        self.optimiser, self.steps = optimiser, 0
        kept = {"sgd": (), "momentum": ("m",), "adam": ("m", "v")}[optimiser.kind]
        self.slots = {name: {slot: np.zeros_like(weights[name]) for slot in kept} for name in names}

    def update(self, weights: dict[str, Array], gradients: Mapping[str, Array], scale: Mapping[str, float]) -> None:
        o = self.optimiser
        self.steps += 1
        for name, g in gradients.items():
            rate, slots = o.learning_rate * scale.get(name, 1.0), self.slots[name]
            if o.kind == "sgd":
                weights[name] = weights[name] - rate * g
            elif o.kind == "momentum":
                slots["m"] = o.momentum * slots["m"] + g
                weights[name] = weights[name] - rate * slots["m"]
            else:
                slots["m"] = o.beta1 * slots["m"] + (1 - o.beta1) * g
                slots["v"] = o.beta2 * slots["v"] + (1 - o.beta2) * g**2
                m = slots["m"] / (1 - o.beta1**self.steps)
                v = slots["v"] / (1 - o.beta2**self.steps)
                weights[name] = weights[name] - rate * m / (np.sqrt(v) + o.eps)


def simulate(
    network: Network,
    weights: Mapping[str, Array],
    inputs: Array,
    labels: Array | None = None,
    rule: Rule | None = None,
    optimiser: Optimiser | None = None,
    batch: int = 1,
    masks: Mapping[str, Array] | None = None,
) -> Result:
    """Present samples in their order, and learn if there is a rule.

    Parameters
    ----------
    network : Network
    weights : dict
        Layer name -> float array; ``readout``, and ``readout_<layer>`` for TFR.
    inputs : numpy.ndarray, shape (n, *input shape); (n, T, *input shape) for `spikes_as_given`
    labels : numpy.ndarray of int, shape (n,), optional
    rule : Rule, optional
    optimiser : Optimiser, optional
    batch : int
        Samples per weight update; a last partial batch divides by its own size.
    masks : dict, optional
        Layer name -> what others see of its spikes, as factors (n, *shape), or (n, T, *shape): dropout.

    Returns
    -------
    Result
    """
    weights = {name: np.array(w, dtype=float) for name, w in weights.items()}
    layers, T, last = network.layers, network.n_steps, len(network.layers) - 1
    n, names = len(inputs), [layer.name for layer in network.layers]
    if rule is not None:
        assert optimiser is not None and labels is not None and (rule.update == "batch" or batch == 1)
        optimisation = Optimisation(optimiser, weights, names)
    shape = np.shape(network.encoder(np.asarray(inputs[0], float), T))[1:]
    shapes = [shape]
    for layer in layers:
        shapes.append(layer.shape(shapes[-1]))

    spikes = {name: np.zeros((n, T, *s)) for name, s in zip(["input", *names], shapes, strict=True)}
    readout, loss = np.zeros((n, T, network.classes)), np.zeros(n)
    gradients: list[dict[str, Array]] = []
    g = {name: np.zeros_like(weights[name]) for name in names}

    for k in range(n):
        target = np.zeros(network.classes)
        if labels is not None:
            target[labels[k]] = 1
        presynaptic = network.encoder(np.asarray(inputs[k], float), T)
        populations = [Population(layer, s) for layer, s in zip(layers, shapes[1:], strict=True)]
        traces = [Trace(layer.neuron, s) for layer, s in zip(layers, shapes[:-1], strict=True)]
        y = np.zeros((len(layers), network.classes))
        every = {layer.name: (T, *s) for layer, s in zip(layers, shapes[1:], strict=True)}
        factors_of = {
            name: values[k] if np.ndim(values[k]) == len(every[name]) else np.broadcast_to(values[k], every[name])
            for name, values in (masks or {}).items()
        }

        for t in range(T):
            heard = {name: values[t] for name, values in factors_of.items()}
            s = [np.asarray(presynaptic[t], float)]
            done: list[LayerStep] = []
            for population in populations:
                done.append(population.advance(weights[population.layer.name], s[-1]))
                s.append(done[-1].spikes * heard.get(population.layer.name, 1.0))
            for name, activity in zip(spikes, [s[0], *(step.spikes for step in done)], strict=True):
                spikes[name][k, t] = activity
            eligible = s
            if rule is not None and rule.eligibility == "trace":
                eligible = [trace.advance(x) for trace, x in zip(traces, s[:-1], strict=True)]

            for j, layer in enumerate(layers):
                R = weights.get("readout" if j == last else f"readout_{layer.name}")
                if R is not None:
                    y[j] = network.decay * y[j] + R @ s[j + 1].ravel()
            readout[k, t] = y[last]

            if rule is not None and t >= rule.burn_in:
                factors = third_factors(rule, network, weights, done, y, target, heard)
                logits = logits_of(rule, network, shapes)
                for j, layer in enumerate(layers):
                    error = 2 / logits[j] * done[j].psi * done[j].gate * factors[j]
                    g[layer.name] += layer.gradient(weights[layer.name], error, eligible[j])
                if rule.update == "step":
                    optimisation.update(weights, g, rule.scale)
                    gradients.append(g)
                    g = {name: np.zeros_like(weights[name]) for name in names}

        loss[k] = np.mean((readout[k, network.burn_in :] - target) ** 2)
        in_batch = k % batch + 1
        if rule is not None and rule.update == "batch" and (in_batch == batch or k == n - 1):
            g = {name: total / in_batch for name, total in g.items()}
            optimisation.update(weights, g, rule.scale)
            gradients.append(g)
            g = {name: np.zeros_like(weights[name]) for name in names}

    logits_mean = readout[:, network.burn_in :].mean(axis=1)
    slots, steps = (optimisation.slots, optimisation.steps) if rule is not None else ({}, 0)
    return Result(weights, slots, steps, spikes, readout, logits_mean, loss, gradients)


def pipelined(
    network: Network,
    weights: Mapping[str, Array],
    inputs: Array,
    labels: Array | None = None,
    rule: Rule | None = None,
    optimiser: Optimiser | None = None,
    batch: int = 1,
) -> Result:
    """`simulate` for pipelined timing, from its equations; no dropout, eligibility "spike"."""
    weights = {name: np.array(w, dtype=float) for name, w in weights.items()}
    layers, T, last = network.layers, network.n_steps, len(network.layers) - 1
    n, names = len(inputs), [layer.name for layer in network.layers]
    shapes = [np.shape(network.encoder(np.asarray(inputs[0], float), T))[1:]]
    for layer in layers:
        shapes.append(layer.shape(shapes[-1]))
    readouts = ["readout" if j == last else f"readout_{name}" for j, name in enumerate(names)]
    optimisation, scales = None, [0.0] * (last + 1)
    if rule is not None:
        assert optimiser is not None and labels is not None and rule.eligibility == "spike"
        optimisation = Optimisation(optimiser, weights, names)
        scales = [2 / n_logits for n_logits in logits_of(rule, network, shapes)]

    spikes = {name: np.zeros((n, T, *s)) for name, s in zip(["input", *names], shapes, strict=True)}
    readout, loss = np.zeros((n, T, network.classes)), np.zeros(n)
    gradients: list[dict[str, Array]] = []
    g = {name: np.zeros_like(weights[name]) for name in names}

    def update(samples: int) -> None:
        nonlocal g
        assert optimisation is not None and rule is not None
        mean = {name: total / samples for name, total in g.items()}
        optimisation.update(weights, mean, rule.scale)
        gradients.append(mean)
        g = {name: np.zeros_like(weights[name]) for name in names}

    for k in range(n):
        target = np.zeros(network.classes)
        if labels is not None:
            target[labels[k]] = 1
        presynaptic = np.asarray(network.encoder(np.asarray(inputs[k], float), T), float)
        populations = [Population(layer, s) for layer, s in zip(layers, shapes[1:], strict=True)]
        # of the step before: spikes s_0 .. s_L; psi, gate and errors of the layers; readouts and their errors
        s = [np.zeros(shape) for shape in shapes]
        psi, gate, delta, gated = ([np.zeros(shape) for shape in shapes[1:]] for _ in range(4))
        y, err = np.zeros((last + 1, network.classes)), np.zeros((last + 1, network.classes))
        for t in range(T):
            factors = []
            for j in range(last + 1):
                if j == last or (rule is not None and rule.kind == "tfr"):
                    factors.append((weights[readouts[j]].T @ err[j]).reshape(shapes[j + 1]))
                else:
                    above = layers[j + 1]
                    factors.append(above.backward(weights[above.name], delta[j + 1], shapes[j + 1]))
            arrived = [layer.forward(weights[layer.name], s[j]) for j, layer in enumerate(layers)]
            if rule is not None:
                for j, layer in enumerate(layers):
                    g[layer.name] += layer.gradient(weights[layer.name], scales[j] * gated[j], s[j])
                if rule.update == "step" and t >= rule.burn_in:
                    update(1)
            delta = [factor * p for factor, p in zip(factors, psi, strict=True)]
            gated = [error * p for error, p in zip(delta, gate, strict=True)]
            for j, name in enumerate(readouts):
                if name in weights:
                    y[j] = network.decay * y[j] + weights[name] @ s[j + 1].ravel()
            err = (y - target) * (rule is not None and t >= rule.burn_in)
            done = [population.receive(x) for population, x in zip(populations, arrived, strict=True)]
            s = [presynaptic[t], *(step.spikes for step in done)]
            psi, gate = [step.psi for step in done], [step.gate for step in done]
            for name, activity in zip(spikes, s, strict=True):
                spikes[name][k, t] = activity
            readout[k, t] = y[last]
        loss[k] = np.mean((readout[k, network.burn_in :] - target) ** 2)
        in_batch = k % batch + 1
        if rule is not None and rule.update == "batch" and (in_batch == batch or k == n - 1):
            update(in_batch)

    logits = readout[:, network.burn_in :].mean(axis=1)
    slots, steps = (optimisation.slots, optimisation.steps) if optimisation is not None else ({}, 0)
    return Result(weights, slots, steps, spikes, readout, logits, loss, gradients)


# from descriptions of the package ------------------------------------------------------------------------------------
#
# Reads the fields of a description (numbers, texts of the presets), and none of what the package derives from them.

_SURROGATES = {
    "FastSigmoid": (fast_sigmoid, "slope"),
    "Rectangular": (rectangular, "width"),
    "ArcTan": (arctan, "slope"),
    "Sigmoid": (sigmoid, "slope"),
    "Triangular": (triangular, "width"),
    "Gaussian": (gaussian, "width"),
}


def surrogate_of(surrogate: object) -> Surrogate:
    function, parameter = _SURROGATES[type(surrogate).__name__]
    return function(getattr(surrogate, parameter))


def cuba_coefficients(dt: float, tau_m: Array, tau_s: Array, R: Array) -> tuple[Array, Array, Array]:
    """a, b, k of the CUBA LIF neuron in closed form, also where tau_s = tau_m."""
    tau_m, tau_s, R = np.broadcast_arrays(*(np.asarray(x, float) for x in (tau_m, tau_s, R)))
    a, b = np.exp(-dt / tau_s), np.exp(-dt / tau_m)
    same = tau_s == tau_m
    apart = np.where(same, 1.0, tau_s - tau_m)
    # spikes arrive at the start of the step and c decays over it: v gains k c, c after delivery
    return a, b, np.where(same, R * dt / tau_m * b, R * tau_s / apart * (a - b))


def neuron_of(neuron: object, dt: float, shape: tuple[int, ...]) -> Neuron:
    """A preset of the package (LIF, CubaLIF, DaltonIF, AdaptiveLIF), with its options, as a neuron of the reference."""
    text = re.sub(r"\(unless refractory\)", "", neuron.equations)
    frozen = tuple(re.findall(r"d(\w+)/dt[^\n]*\(unless refractory\)", neuron.equations))
    equations = [re.sub(r"\s", "", line) for line in text.strip().splitlines()]
    constants = {
        name: np.asarray(value, float).reshape(shape if np.ndim(value) else ())
        for name, value in neuron.constants.items()
    }
    options: dict[str, object] = dict(psi=surrogate_of(neuron.surrogate))
    if neuron.floor is not None:
        options["floor"] = float(neuron.floor)
    if neuron.refractory is not None:
        options["refractory"] = round(float(neuron.refractory) / dt)

    theta = re.fullmatch(r"v\s*>\s*([\d.]+)(\s*\+\s*beta\*a)?", neuron.threshold)
    assert theta is not None and float(neuron.v_scale) == float(neuron.weight_unit) == 1, "not a preset"
    level = float(theta[1])
    names = {"I": "c", "a": "q"}
    options["frozen"] = tuple(names.get(name, name) for name in frozen)
    options["initial"] = {names.get(name, name): float(value) for name, value in neuron.initial.items()}
    options["reset"] = _reset(neuron.reset, names)
    if theta[2] is None:
        options["threshold"] = lambda state: level

    if equations == ["dv/dt=-v/tau_m:1"]:
        return delta_lif(np.exp(-dt / constants["tau_m"]), **options)
    if equations == ["dv/dt=(R*I-v)/tau_m:1", "dI/dt=-I/tau_s:1"]:
        a, b, k = cuba_coefficients(dt, constants["tau_m"], constants["tau_s"], constants["R"])
        return cuba_lif(a, b, k, **options)
    if equations == ["dv/dt=I/(tau_s*(1-exp(-dt/tau_s))):1", "dI/dt=-I/tau_s:1"]:
        return dalton_if(np.exp(-dt / constants["tau_s"]), **({"floor": None} | options))
    if equations == ["dv/dt=-v/tau_m:1", "da/dt=-a/tau_a:1"] and theta[2] is not None:
        beta = constants["beta"]
        b, rho = np.exp(-dt / constants["tau_m"]), np.exp(-dt / constants["tau_a"])
        return adaptive_lif(b, rho, beta, **(options | {"threshold": lambda state: level + beta * state["q"]}))
    raise AssertionError(f"not a preset: {equations}")


def _reset(text: str, names: Mapping[str, str]) -> Callable[[State], State]:
    statements = []
    for statement in filter(None, map(str.strip, re.split(r"[;\n]", text))):
        match = re.fullmatch(r"(\w+)\s*(=|\+=|-=)\s*([-\d.]+)", statement)
        assert match is not None, f"not a known reset: {statement}"
        statements.append((names.get(match[1], match[1]), match[2], float(match[3])))

    def reset(state: State) -> State:
        state = dict(state)
        for name, how, value in statements:
            if how == "=":
                state[name] = np.full_like(state[name], value)
            else:
                state[name] = state[name] + (value if how == "+=" else -value)
        return state

    return reset


def from_spec(spec: object, neurons: Mapping[str, Neuron] | None = None) -> Network:
    """A `NetworkSpec` of preset neurons as a network of the reference.

    ``neurons`` replaces those of some layers, by layer name: for neurons that are no preset.
    """
    dt, shape, layers, counts = float(spec.dt), spec.input.shape, [], {"Dense": 0, "Conv": 0}
    for layer in spec.layers:
        kind = type(layer).__name__
        counts[kind] += 1
        name = layer.name or f"{kind.lower()}{counts[kind]}"
        if kind == "Dense":
            bare = Dense(name, layer.size, None)
        else:
            bare = Conv(name, layer.channels, layer.kernel, None, layer.stride, layer.padding, layer.pool)
        shape = bare.shape(shape)
        given = (neurons or {}).get(name)
        layers.append(replace(bare, neuron=given or neuron_of(layer.neuron, dt, shape)))
    encoder = spec.input.encoder
    kind = type(encoder).__name__
    if kind == "IntegrateAndFireEncoder":
        encode = integrate_and_fire(encoder.gain, encoder.bias)
    elif kind == "DirectCurrent":
        encode = direct_current(encoder.gain)
    else:
        encode = spikes_as_given
    return Network(
        layers,
        spec.readout.classes,
        round(float(spec.duration) / dt),
        encode,
        burn_in=round(float(spec.burn_in) / dt),
        decay=0.0 if spec.readout.tau is None else float(np.exp(-dt / float(spec.readout.tau))),
        timing=spec.timing,
    )


def run(
    spec: object,
    weights: Mapping[str, Array],
    inputs: Array,
    labels: Array | None = None,
    rule: object = None,
    optimiser: object = None,
    batch: int = 1,
    neurons: Mapping[str, Neuron] | None = None,
    masks: Mapping[str, Array] | None = None,
) -> Result:
    """`simulate` for descriptions of the package: a NetworkSpec, TFR() or DALTON(), SGD(), Momentum() or Adam()."""
    network, dt = from_spec(spec, neurons), float(spec.dt)
    late = network.timing == "pipelined"
    if rule is None:
        return (pipelined if late else simulate)(network, weights, inputs, labels)
    burn_in = network.burn_in if rule.burn_in is None else round(float(rule.burn_in) / dt)
    assert rule.credit == "online"
    described = Rule(
        type(rule).__name__.lower(), burn_in, rule.update, rule.eligibility, dict(rule.learning_rate_scale)
    )
    fields = {
        name: getattr(optimiser, name)
        for name in ("learning_rate", "momentum", "beta1", "beta2", "eps")
        if hasattr(optimiser, name)
    }
    made = Optimiser(type(optimiser).__name__.lower(), **fields)
    if late:
        assert not masks
        return pipelined(network, weights, inputs, labels, described, made, batch)
    return simulate(network, weights, inputs, labels, described, made, batch, masks)
