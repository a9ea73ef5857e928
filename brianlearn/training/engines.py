"""Which engine runs what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brianlearn.errors import RuleError, did_you_mean
from brianlearn.learning.engine import Engine
from brianlearn.learning.engine_settings import Brian
from brianlearn.learning.optimisers import Optimiser
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.rules.local import LocalRule
from brianlearn.network.spec import NetworkSpec
from brianlearn.training.delays import DelaysEngine

__all__ = ["ENGINES", "check_engine", "choose_engine", "make_engine"]

ENGINES = ("auto", "brian", "discrete")
#: How torch's names of devices begin; all other names are Brian2's.
TORCH_DEVICES = ("cpu", "cuda", "mps", "xpu")


def _is_torch_device(device: str) -> bool:
    return device.split(":")[0] in TORCH_DEVICES


def choose_engine(engine: str, rule: Rule | None, device: str = "auto") -> str:
    """The engine that runs a rule on a device.

    Parameters
    ----------
    engine : {"auto", "brian", "discrete"}
        ``"auto"``: the discrete engine for rules that only it runs and for torch's devices, else Brian2.
    rule : Rule or None
    device : str

    Returns
    -------
    str
        "brian" or "discrete".

    Raises
    ------
    RuleError
        An unknown engine, or a rule or device that it cannot run; with what can.
    """
    if engine not in ENGINES:
        raise RuleError(
            "engine",
            "unknown engine",
            got=repr(engine),
            expected=", ".join(map(repr, ENGINES)),
            remedy=did_you_mean(engine, ENGINES),
        )
    able = ("brian", "discrete") if rule is None else rule.engines
    if rule is not None and not able:
        raise RuleError(
            type(rule).__name__,
            "it does not say how weights are learned, so that no engine can run it",
            got=f"a subclass of {', '.join(base.__name__ for base in type(rule).__bases__)}",
            expected="a subclass of ThreeFactorRule that says where errors come from, or SurrogateBPTT(loss=...) with "
            "a loss of your own",
            remedy="see docs/own_rule.md",
        )
    if rule is not None and not isinstance(rule, LocalRule) and (able != ("discrete",) or rule.loss is None):
        raise RuleError(
            type(rule).__name__,
            "it does not say how the engines that it names would learn by it",
            got=f"engines={able!r}, loss={rule.loss!r}, a subclass of "
            + ", ".join(base.__name__ for base in type(rule).__bases__),
            expected="engines=('discrete',) and a loss that back-propagation minimises; or a subclass of "
            "ThreeFactorRule or SynapticRule, which Brian2 can run",
            remedy="see the example of brianlearn.Rule, and docs/own_rule.md",
        )
    local, torch_device = "brian" in able, _is_torch_device(device)
    if engine == "auto":
        engine = "brian" if local and not torch_device else "discrete"
    if engine == "discrete" and engine not in able:
        assert rule is not None
        raise RuleError(
            f"engine 'discrete', rule {rule.name!r}",
            "this engine has no synapses that could run statements of their own",
            got="engine='discrete'" + (f", device={device!r}" if torch_device else ""),
            expected="engine='brian' on numpy, cython or cpp_standalone",
            remedy="train with engine='brian'; the weights then run here: brianlearn evaluate RUN --engine discrete",
        )
    if engine == "brian":
        if not local:
            assert rule is not None
            raise RuleError(
                f"engine 'brian', rule {rule.name!r}",
                "this engine learns event by event and cannot propagate errors back through time",
                got="engine='brian'",
                expected="engine='discrete'",
                remedy="train with engine='discrete' (--engine discrete); the weights then run in Brian2: "
                "brianlearn evaluate RUN --engine brian",
            )
        if torch_device:
            raise RuleError(
                "engine 'brian'",
                "this is a device of torch",
                got=f"device={device!r}",
                expected="auto, numpy, cython, cpp_standalone, genn, genn-cpu or runtime",
                remedy="use engine='discrete' for it",
            )
    elif device != "auto" and not torch_device:
        raise RuleError(
            "engine 'discrete'" + (f", rule {rule.name!r}" if rule is not None else ""),
            "this engine runs on torch's devices",
            got=f"device={device!r}",
            expected="auto, cpu or cuda",
            remedy="use device='auto'" + ("; or engine='brian'" if local else ""),
        )
    return engine


def check_engine(
    engine: str,
    spec: NetworkSpec,
    rule: Rule,
    device: str,
    batch_size: int,
    workers: int = 1,
    optimiser: Optimiser | None = None,
) -> None:
    """Refuse by name what the engine cannot run, before anything is built.

    Raises
    ------
    RuleError, SpecError
    """
    if choose_engine(engine, rule, device) == "brian":
        from brianlearn.brian.engine import refuse

        assert isinstance(rule, LocalRule)
        refuse(spec, rule, batch_size, optimiser, device)
    else:
        _refuse_workers(workers)


def _refuse_workers(workers: int) -> None:
    if workers != 1:
        raise RuleError(
            "engine 'discrete'",
            "it runs in one process, with torch's threads",
            got=f"workers={workers}",
            expected="workers=1",
            remedy="several processes: torch's distributed data parallel (docs/stbp.md)",
        )


def make_engine(
    engine: str,
    spec: NetworkSpec,
    rule: Rule | None,
    optimiser: Optimiser,
    *,
    device: str,
    dtype: str,
    batch_size: int,
    chunk_size: int | None,
    workers: int,
    options: Mapping[str, Any],
) -> Engine:
    """Build the engine, see `choose_engine`; of a network with learned delays, what runs it with those of a state.

    Raises
    ------
    RuleError, SpecError, DeviceError
        What the engine or this machine cannot run, by name.
    """
    name = choose_engine(engine, rule, device)

    def make(spec: NetworkSpec) -> Engine:
        return _make(name, spec, rule, optimiser, device, dtype, batch_size, chunk_size, workers, options)

    return DelaysEngine(spec, rule, make) if spec.learned_delays else make(spec)


def _make(
    name: str,
    spec: NetworkSpec,
    rule: Rule | None,
    optimiser: Optimiser,
    device: str,
    dtype: str,
    batch_size: int,
    chunk_size: int | None,
    workers: int,
    options: Mapping[str, Any],
) -> Engine:
    common: dict[str, Any] = dict(device=device, dtype=dtype, batch_size=batch_size, chunk_size=chunk_size)
    if name == "discrete":
        _refuse_workers(workers)
        from brianlearn.discrete.engine import DiscreteEngine

        return DiscreteEngine(spec, rule, optimiser, **common, options=options)
    settings: Brian = Brian.read(options)
    from brianlearn.brian.engine import BrianEngine

    assert rule is None or isinstance(rule, LocalRule)
    return BrianEngine(spec, rule, optimiser, **common, workers=workers, implementation=settings.implementation)
