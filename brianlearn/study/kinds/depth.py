"""Depth: what more layers are good for, rule by rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from brianlearn.errors import SpecError
from brianlearn.learning.named import RULES, rule_named
from brianlearn.network.layers import Dense
from brianlearn.network.spec import NetworkSpec
from brianlearn.study.axes import Axis
from brianlearn.study.kinds.base import Values, axis
from brianlearn.study.kinds.trainable import experiment_of, settings_of, source_of, takes
from brianlearn.study.parameters import with_parameters
from brianlearn.study.study import Study
from brianlearn.training.experiment import Experiment

__all__ = ["depth", "with_depth"]


def depth(
    script: Any,
    depths: Values = (1, 2, 3, 4, 5),
    seeds: Values = (0, 1, 2),
    rules: Values = (),
    epochs: int | None = None,
    limit: int | None = None,
    options: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Study:
    """What more layers are good for: networks of several depths are trained with several rules.

    Parameters
    ----------
    script : path-like, callable or Experiment
        A script with ``experiment()``, such a function, a run folder or an experiment. Where ``experiment()`` has a
        parameter ``depth`` it says what a deeper network is; else see `with_depth`.
    depths : sequence of int or str, optional
        Hidden layers.
    seeds : sequence of int or str, optional
    rules : sequence of str or str, optional
        Names of rules; that of the script where there are none.
    epochs, limit : int, optional
        As in `Experiment`; those of the script where they are not given.
    options : mapping, optional
        Other arguments of the script's ``experiment()``.
    parameters : mapping, optional
        Other settings, see `with_parameters`.

    Returns
    -------
    Study
        Axes ``depth``, ``rule`` (where given) and ``seed``; metrics as those of any study that trains.

    Raises
    ------
    SpecError, RuleError, RunFolderError
        What cannot be trained, each named, before anything runs.
    """
    source = source_of(script, options)
    axes = {"depth": axis("depth", depths, low=1, whole=True)}
    if rules:
        given = [name.strip() for name in rules.split(",")] if isinstance(rules, str) else rules
        axes["rule"] = Axis.make("rule", given)
    axes["seed"] = axis("seed", seeds, low=0, whole=True)
    fixed = settings_of(epochs, limit, parameters)
    for d in axes["depth"].values:
        made = with_parameters(deep_experiment(source, d), fixed)
        for rule in axes["rule"].values if "rule" in axes else ():
            if rule not in RULES:
                rule_named(rule, made.rule)  # refuses it by name
            with_parameters(made, {"rule": rule})
    return Study(deep_experiment, axes, fixed={"source": source, **fixed}, name="depth")


def deep_experiment(source: Mapping[str, Any], depth: int) -> Experiment:
    """One trial of `depth`, before the rule and the seed are put in."""
    if takes(source, "depth"):
        return experiment_of(source, depth=depth)
    experiment = experiment_of(source)
    return dataclasses.replace(experiment, spec=with_depth(experiment.spec, depth))


def with_depth(spec: NetworkSpec, depth: int) -> NetworkSpec:
    """The network with another number of layers: the first ones of it, or its last dense layer again and again.

    Parameters
    ----------
    spec : NetworkSpec
    depth : int

    Raises
    ------
    SpecError
        If the last layer cannot be repeated: it is no dense one, or it is the output.
    """
    spec.check_chain("depth")
    layers = list(spec.layers)
    last = layers[-1]
    if depth > len(layers) and not isinstance(last, Dense):
        raise SpecError(
            "depth",
            "the last layer cannot be repeated",
            got=spec.neurons[-1].name,
            expected="a dense layer",
            remedy="give the script's experiment() a parameter `depth`",
        )
    if spec.readout is None and depth != len(layers):
        raise SpecError(
            "depth",
            "the network has no readout: its last layer is the output, and not one of many",
            expected="a readout, or a script whose experiment() has a parameter `depth`",
        )
    while len(layers) < depth:
        layers.append(dataclasses.replace(last, name=None))  # type: ignore[type-var]
    return dataclasses.replace(spec, layers=layers[:depth])
