"""Weight gradients of three-factor rules from their equations, step by step: the independent side of a certificate.

    g_p = (scale/B) sum_b sum_t (psi gate L)_target[t]  outer  x_p[t],    x_p[t] = s_source[t - d], or its trace,

L the sum over the error paths of the population: R^T (y - target) of a readout, W^T (psi L) of a population above.
With credit through time, L is what each population's own spikes are multiplied by in a loss that torch differentiates.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from brianlearn.learning.rules.paths import Fixed, readout_groups
from brianlearn.learning.rules.three_factor import ThreeFactorRule
from brianlearn.network.projection import Projection
from brianlearn.training.certificates.plain_network import PlainNetwork, PlainRun
from brianlearn.training.certificates.plain_neuron import PlainNeuron

__all__ = ["three_factor_gradients"]

Tensor = torch.Tensor


def three_factor_gradients(
    network: PlainNetwork, rule: ThreeFactorRule, weights: Mapping[str, Tensor], targets: Tensor
) -> dict[str, Tensor]:
    """The mean gradient of a batch.

    Parameters
    ----------
    network : PlainNetwork
    rule : ThreeFactorRule
        With ``update="batch"``.
    weights : mapping
        Name -> tensor, those of the rule included.
    targets : torch.Tensor, shape (B,), (B, out) or (B, T, out)

    Returns
    -------
    dict of str to torch.Tensor
    """
    spec = network.spec
    through_time = rule.credit == "through_time"
    own = {name: w.clone().requires_grad_(through_time) for name, w in weights.items()}
    with torch.set_grad_enabled(through_time):
        run = network.run(own, apart=True)
    if spec.timing == "pipelined":
        with torch.no_grad():
            return _pipelined(network, rule, run, weights, targets)
    with torch.no_grad():
        L = _third_factors(network, rule, run, weights, targets)
    first, scales = rule.burn_in_steps(spec), rule.scale(spec)
    if through_time:
        loss = sum(
            float(scales[name]) / network.n / (spec.n_steps - first) * (L[name, t] * run.done[name, t].spikes).sum()
            for name, t in L
            if t >= first
        )
        names = list(rule.learned(spec))
        found = torch.autograd.grad(loss, [own[name] for name in names], allow_unused=True)  # type: ignore[arg-type]
        return {n: torch.zeros_like(weights[n]) if g is None else g for n, g in zip(names, found, strict=True)}
    result: dict[str, Tensor] = {name: torch.zeros_like(weights[name]) for name in rule.learned(spec)}
    with torch.no_grad():
        for q in spec.pathways:
            if q.weights_of not in result or (q.target, 0) not in L:
                continue
            factors = _presynaptic(network, rule, run, q)
            full = torch.zeros(q.n_post, q.n_pre, dtype=torch.float64)
            for t in range(first, spec.n_steps):
                one = run.done[q.target, t]
                full += (one.psi * one.gate * L[q.target, t]).T @ factors[t]
            full *= float(scales[q.target]) / network.n
            result[q.weights_of] += _by_weight(q, full, result[q.weights_of].shape)
    return result


def _third_factors(
    network: PlainNetwork, rule: ThreeFactorRule, run: PlainRun, weights: Mapping[str, Tensor], targets: Tensor
) -> dict[tuple[str, int], Tensor]:
    """(population, step) -> L, shape (B, neurons)."""
    spec, paths = network.spec, rule.paths(network.spec)
    sent = {name: values.detach() for name, values in run.sent.items()}
    errors = {
        name: _wanted(network.read(name, onto, sent, weights), targets)
        for name, onto in readout_groups(spec, paths).items()
    }
    pathways = {q.name: q for q in spec.pathways}
    found: dict[tuple[str, int], Tensor] = {}
    for p in reversed(spec.neurons):
        for t in range(spec.n_steps) if paths.get(p.name) else ():
            total = torch.zeros(network.n, p.n, dtype=torch.float64)
            for path in paths[p.name]:
                if isinstance(path, Fixed):
                    total += errors[path.readout][t] @ weights[path.name].reshape(path.weights.n_post, -1)
                else:
                    above = pathways[path.projection].target
                    delta = run.done[above, t].psi * found[above, t]
                    total += delta @ run.matrices[path.projection].detach()
            mask = network.mask(p.name, t)
            found[p.name, t] = total if mask is None else total * mask
    return found


def _pipelined(
    network: PlainNetwork, rule: ThreeFactorRule, run: PlainRun, weights: Mapping[str, Tensor], targets: Tensor
) -> dict[str, Tensor]:
    """The gradient under pipelined timing, in which whatever passes between populations takes a step.

    L[t] = sum over paths of R^T err[t-1] or W^T delta_above[t-1],     err = 0 during the burn-in,
    delta[t] = psi[t-1] L[t],    g += scale (gate[t-1] delta[t])  outer  s_source[t],    the last step left out
    """
    spec, paths = network.spec, rule.paths(network.spec)
    errors = {
        name: _wanted(network.read(name, onto, run.sent, weights), targets)
        for name, onto in readout_groups(spec, paths).items()
    }
    for error in errors.values():
        error[: rule.burn_in_steps(spec)] = 0
    pathways, scales = {q.name: q for q in spec.pathways}, rule.scale(spec)
    result = {name: torch.zeros_like(weights[name]) for name in rule.learned(spec)}
    full = {q.name: torch.zeros(q.n_post, q.n_pre, dtype=torch.float64) for q in spec.pathways}
    before: dict[str, Tensor] = {}
    for t in range(1, spec.n_steps):
        now: dict[str, Tensor] = {}
        for p in spec.neurons:
            L = torch.zeros(network.n, p.n, dtype=torch.float64)
            for path in paths.get(p.name, ()):
                if isinstance(path, Fixed):
                    L += errors[path.readout][t - 1] @ weights[path.name].reshape(path.weights.n_post, -1)
                elif pathways[path.projection].target in before:
                    L += before[pathways[path.projection].target] @ run.matrices[path.projection]
            one = run.done[p.name, t - 1]
            now[p.name] = one.psi * L
            for q in spec.pathways_onto(p.name) if t < spec.n_steps - 1 else ():
                full[q.name] += (one.gate * now[p.name]).T @ run.sent[q.source][t]
        before = now
    for q in spec.pathways:
        if q.weights_of in result and q.target in scales:
            g = full[q.name] * float(scales[q.target]) / network.n
            result[q.weights_of] += _by_weight(q, g, result[q.weights_of].shape)
    return result


def _wanted(readout: Tensor, targets: Tensor) -> Tensor:
    """Y - target in all steps, shape (T, B, out)."""
    if targets.ndim == 1:
        return readout - torch.eye(readout.shape[2], dtype=torch.float64)[targets]
    values = targets.double()
    return readout - (values if values.ndim == 2 else values.transpose(0, 1))


def _presynaptic(network: PlainNetwork, rule: ThreeFactorRule, run: PlainRun, q: Projection) -> Tensor:
    """x_p in all steps, shape (T, B, in): what arrives, or its trace."""
    spec, late = network.spec, int(network.spec.timing == "brian2")
    delay = q.delay_steps(spec.dt)
    sent = run.sent[q.source].detach()
    quiet = torch.zeros_like(sent)

    def after(steps: int) -> Tensor:
        return torch.cat([quiet[: min(steps, len(sent))], sent[: max(0, len(sent) - steps)]])

    if rule.eligibility == "spike":
        return after(delay)
    p = spec.graph.by_name[q.target]
    neuron = PlainNeuron(p, float(spec.dt), 1, spec.n_steps, {}, None, pipelined=False)
    variable, membrane = neuron.neuron.inputs[q.port], neuron.neuron.parsed.membrane
    unit, scale = (float(np.asarray(x)) for x in (neuron.neuron.unit_of(variable), neuron.neuron.v_scale))
    zero = {name: torch.zeros(network.n, q.n_pre, dtype=torch.float64) for name in neuron.initial(1, 1)}
    drift, state, found = neuron.integrated(zero), dict(zero), []
    for x in after(delay + late):  # a linear step: what the state adds to it is step(state) - step(0)
        moved = neuron.integrated({**state, variable: state[variable] + unit * x})
        state = {name: moved[name] - drift[name] for name in state}
        found.append(state[membrane] / scale)
    return torch.stack(found)


def _by_weight(q: Projection, full: Tensor, shape: torch.Size) -> Tensor:
    """A gradient (out, in) as that of the projection's weights: summed over the synapses that share one."""
    connectivity = q.connectivity
    order = np.asarray(connectivity.pack(np.arange(int(np.prod(shape))).reshape(shape))).ravel()
    values = full[connectivity.post.astype(np.int64), connectivity.pre.astype(np.int64)] * connectivity.factor
    result = torch.zeros(int(np.prod(shape)), dtype=torch.float64)
    return result.index_add(0, torch.from_numpy(order[connectivity.weight]), values).view(shape)
