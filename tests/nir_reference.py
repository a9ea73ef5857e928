"""NIR graphs in plain numpy, node by node and step by step, from the equations in NIR's documentation alone.

What arrives in a step is a pulse of its height and of the length of a step, dt. ``"exact"``: a delta of this area at
the beginning of the step, and the closed solution of the equation. ``"euler"``: one step of Euler's method, the current
first.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def simulate(graph: Any, inputs: dict[str, np.ndarray], dt: float, method: str = "exact") -> dict[str, np.ndarray]:
    """What every node gives, (T, *shape): spikes of neurons, values of all others. Inputs: name -> (T, *shape)."""
    return Simulation(graph, inputs, dt, method).run()


class Simulation:
    def __init__(self, graph: Any, inputs: dict[str, np.ndarray], dt: float, method: str) -> None:
        self.nodes, self.edges = flat(graph)
        self.inputs, self.dt, self.method, self.t = inputs, dt, method, 0
        self.given: dict[str, list[np.ndarray]] = {name: [] for name in self.nodes}
        self.state: dict[str, dict[str, Any]] = {name: {} for name in self.nodes}
        self.ahead = {name: reached(name, self.nodes, self.edges) for name in self.nodes}

    def run(self) -> dict[str, np.ndarray]:
        order = list(self.inputs)  # a walk from the inputs
        for name in order:
            order += [b for a, b in self.edges if a == name and b not in order]
        for t in range(len(next(iter(self.inputs.values())))):
            self.t = t
            for name in order:
                self.out(name)
        return {name: np.array(values) for name, values in self.given.items()}

    def now(self, name: str, asks: str) -> Any:
        """What a node gives in this step; in a cycle, what one that comes later gave in the step before."""
        if len(self.given[name]) > self.t:
            return self.given[name][self.t]
        if name in self.ahead[asks]:
            return self.given[name][self.t - 1] if self.t else 0.0
        return self.out(name)

    def out(self, name: str) -> Any:
        if len(self.given[name]) > self.t:
            return self.given[name][self.t]
        before = [a for a, b in self.edges if b == name]
        if name in self.inputs:
            value = self.inputs[name][self.t]
        elif type(self.nodes[name]).__name__ == "Delay":
            value = self.delayed(name, np.rint(self.nodes[name].delay / self.dt).astype(int), before)
        else:
            x = sum(self.now(a, name) for a in before)
            value = step(self.nodes[name], x, self.state[name], self.dt, self.method)
        self.given[name].append(np.asarray(value, float))
        return self.given[name][self.t]

    def delayed(self, name: str, lag: np.ndarray, before: list[str]) -> np.ndarray:
        """What was there so long ago, which may not need what is there now."""
        found = np.zeros(lag.shape)
        for d in np.unique(lag[lag <= self.t]):
            past = sum(self.given[a][self.t - d] if d else self.now(a, name) for a in before)
            found[lag == d] = np.asarray(past)[lag == d]
        return found


def reached(name: str, nodes: dict[str, Any], edges: list[tuple[str, str]]) -> set[str]:
    """Nodes to which a node leads without a delay."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        here = waiting.pop()
        more = {b for a, b in edges if a == here and type(nodes[b]).__name__ != "Delay"} - found
        found |= more
        waiting += more
    return found


def flat(graph: Any, prefix: str = "") -> tuple[dict[str, Any], list[tuple[str, str]]]:
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    inner = {name: node for name, node in graph.nodes.items() if type(node).__name__ == "NIRGraph"}
    for name, node in graph.nodes.items():
        if name in inner:
            more = flat(node, f"{prefix}{name}/")
            nodes |= more[0]
            edges += more[1]
        else:
            nodes[prefix + name] = node
    for a, b in graph.edges:
        if a in inner:
            a = f"{a}/{next(n for n, x in inner[a].nodes.items() if type(x).__name__ == 'Output')}"
        if b in inner:
            b = f"{b}/{next(n for n, x in inner[b].nodes.items() if type(x).__name__ == 'Input')}"
        edges.append((prefix + a, prefix + b))
    return nodes, edges


def step(node: Any, x: Any, s: dict[str, Any], dt: float, method: str) -> Any:
    kind = type(node).__name__
    if kind in ("Input", "Output"):
        return x
    if kind in ("Affine", "Linear"):
        return np.einsum("...oi,...i->...o", node.weight, x) + (node.bias if kind == "Affine" else 0)
    if kind == "Scale":
        return node.scale * x
    if kind == "Flatten":
        shape, last = np.shape(x), node.end_dim % np.ndim(x)
        return x.reshape(*shape[: node.start_dim], -1, *shape[last + 1 :])
    if kind == "Conv1d":
        return conv(
            x[:, None, :],
            node.weight[:, :, None, :],
            (1, whole(node.stride)),
            (0, padding(node, 1)[0]),
            (1, whole(node.dilation)),
            node.groups,
            node.bias,
        )[:, 0, :]
    if kind == "Conv2d":
        return conv(x, node.weight, node.stride, padding(node, 2), node.dilation, node.groups, node.bias)
    if kind in ("SumPool2d", "AvgPool2d"):
        n = len(x)
        kernel = np.ones((n, 1, *node.kernel_size)) / (np.prod(node.kernel_size) if kind == "AvgPool2d" else 1)
        return conv(x, kernel, node.stride, node.padding, (1, 1), n, np.zeros(n))
    return neuron(kind, node, x, s, dt, method)


def whole(value: Any) -> int:
    return int(np.ravel(value)[0])


def padding(node: Any, axes: int) -> tuple[int, ...]:
    if isinstance(node.padding, str):
        sides = node.weight.shape[-axes:]
        dilation = np.broadcast_to(node.dilation, (axes,))
        same = tuple((k - 1) * d // 2 for k, d in zip(sides, dilation, strict=True))
        return same if node.padding == "same" else (0,) * axes
    return tuple(np.broadcast_to(node.padding, (axes,)))


def conv(x: Any, w: Any, stride: Any, pad: Any, dilation: Any, groups: int, bias: Any) -> np.ndarray:
    x = np.pad(x, ((0, 0), (pad[0],) * 2, (pad[1],) * 2))
    out, each, kh, kw = w.shape
    height = (x.shape[1] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    width = (x.shape[2] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    found = np.zeros((out, height, width)) + np.reshape(bias, (-1, 1, 1))
    for o in range(out):
        mine = x[o // (out // groups) * each :][:each]
        for i in range(height):
            for j in range(width):
                rows = i * stride[0] + np.arange(kh) * dilation[0]
                columns = j * stride[1] + np.arange(kw) * dilation[1]
                found[o, i, j] += (mine[:, rows][:, :, columns] * w[o]).sum()
    return found


def neuron(kind: str, n: Any, x: Any, s: dict[str, Any], dt: float, method: str) -> Any:
    v, i = s.get("v", np.zeros(n.r.shape)), s.get("i", np.zeros(n.r.shape))
    euler = method == "euler"
    if kind == "IF":
        v = v + n.r * x * dt
    elif kind in ("LIF", "LI"):
        if euler:
            v = v + dt / n.tau * (n.v_leak - v + n.r * x)
        else:
            v = n.v_leak + (v + n.r * x * dt / n.tau - n.v_leak) * np.exp(-dt / n.tau)
    elif euler:
        i = i + dt / n.tau_syn * (-i + n.w_in * x)
        v = v + dt / n.tau_mem * (n.v_leak - v + n.r * i)
    else:
        i = i + n.w_in * x * dt / n.tau_syn
        a, b = np.exp(-dt / n.tau_syn), np.exp(-dt / n.tau_mem)
        v = n.v_leak + (v - n.v_leak) * b + n.r * i * n.tau_syn / (n.tau_syn - n.tau_mem) * (a - b)
        i = i * a
    s["v"], s["i"] = v, i
    if kind in ("LI", "CubaLI"):
        return v
    fires = v > n.v_threshold
    s["v"] = np.where(fires, n.v_reset, v)
    return fires.astype(float)
