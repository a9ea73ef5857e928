"""Arrays of users: any layout, byte order, type or library gives what a plain copy gives, or an error that names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from brian2 import ms, mV, us

import brianlearn as bl
from brianlearn.errors import DataError, UnitError, WeightsError
from brianlearn.learning import LearnerState
from brianlearn.network.samples.arrays import integers, numbers

torch = pytest.importorskip("torch")

SPEC = bl.NetworkSpec(
    bl.Input((1, 4, 4), bl.IntegrateAndFireEncoder(0.5)),
    [bl.Dense(20, bl.CubaLIF(tau_m=10 * ms, tau_s=5 * ms, R=4.0))],
    bl.Readout(3),
    duration=20 * ms,
)
RNG = np.random.default_rng(0)
X = RNG.integers(0, 9, (6, 1, 4, 4)) / 8  # float16 and bfloat16 hold them
Y = np.array([0, 1, 2, 0, 1, 2])


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.setflags(write=False)
    return x


LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "mirrored": lambda x: x[..., ::-1],
    "reversed": lambda x: x[::-1],
    "flipped": lambda x: np.flip(x, -2),
    "rotated": lambda x: np.rot90(x, axes=(-2, -1)),
    "transposed": lambda x: x.swapaxes(-1, -2),
    "Fortran": np.asfortranarray,
    "every second": lambda x: np.repeat(x, 2, 0)[::2],
    "read-only": read_only,
    "big-endian f8": lambda x: x.astype(">f8"),
    "big-endian f4": lambda x: x.astype(">f4"),
    "float16": lambda x: x.astype(np.float16),
    "longdouble": lambda x: x.astype(np.longdouble),
    "objects": lambda x: x.astype(object),
    "unmasked": lambda x: np.ma.masked_greater(x, 100),
}
VALUES = LAYOUTS | {
    "list": lambda x: x.tolist(),
    "tensor": torch.tensor,
    "tensor that needs a gradient": lambda x: torch.tensor(x, requires_grad=True),
    "bfloat16": lambda x: torch.tensor(x).bfloat16(),
    "bfloat16 that needs a gradient": lambda x: torch.tensor(x).bfloat16().requires_grad_(),
    "half": lambda x: torch.tensor(x).half(),
    "int16, big-endian": lambda x: (x * 8).astype(">i2"),
    "uint64": lambda x: (x * 8).astype(np.uint64),
    "bool": lambda x: x > 0.5,
}

ENGINES = {"brian": "numpy", "discrete": "cpu"}
#: For the others the slower engine would see what these show.
BOTH_ENGINES = ("rotated", "big-endian f4", "bfloat16 that needs a gradient", "bool")


def plain(values: Any) -> np.ndarray:
    """A contiguous float64 copy, by way of Python's numbers."""
    return np.array(values.tolist() if hasattr(values, "tolist") else values, float)


def learner(engine: str) -> bl.Learner:
    return bl.Learner(SPEC, bl.DALTON(), engine=engine, device=ENGINES[engine], dtype="float64", batch_size=3)


@pytest.fixture(scope="module")
def learners() -> dict[str, bl.Learner]:
    return {engine: learner(engine) for engine in ENGINES}


@pytest.mark.filterwarnings("error:The given NumPy array", "error::RuntimeWarning")
@pytest.mark.parametrize("name", VALUES)
def test_inputs(name: str, learners: dict[str, bl.Learner]) -> None:
    given = VALUES[name](X)
    copy = plain(given)
    assert np.array_equal(bl.Samples(given).inputs, copy)
    for engine in ENGINES if name in BOTH_ENGINES else ["discrete"]:
        one = learners[engine]
        ours, theirs = (one.infer(one.init(), bl.Samples(v, Y), record="spikes") for v in (given, copy))
        assert np.array_equal(ours.logits, theirs.logits), engine
        assert np.array_equal(ours.spikes["dense1"].dense(), theirs.spikes["dense1"].dense())
        assert len(theirs.spikes["dense1"]) > 10
    one = learners["discrete"]
    new, _ = one.learn(one.init(), bl.Samples(given, Y))
    wanted, _ = one.learn(one.init(), bl.Samples(copy, Y))
    assert np.array_equal(new.weights["dense1"], wanted.weights["dense1"])


@pytest.mark.parametrize(
    "encoder", [bl.IntegrateAndFireEncoder(0.5), bl.DirectCurrent(0.5), bl.TimeToFirstSpikeEncoder()], ids=repr
)
@pytest.mark.parametrize("name", VALUES)
def test_inputs_of_exported_modules(name: str, encoder: Any) -> None:
    module = bl.export(bl.NetworkSpec(bl.Input((1, 4, 4), encoder), SPEC.layers, SPEC.readout, duration=20 * ms))
    given = VALUES[name](X)
    assert torch.equal(module(given).logits, module(torch.tensor(plain(given))).logits)


def test_gradients_of_inputs_pass_through_exported_modules() -> None:
    """A tensor that needs a gradient stays in the graph there: it is not an array."""
    module = bl.export(
        bl.NetworkSpec(bl.Input((1, 4, 4), bl.DirectCurrent(2.0)), SPEC.layers, bl.Readout(3), duration=20 * ms)
    )
    x = torch.tensor(X, dtype=torch.float32, requires_grad=True)
    module(x).logits.sum().backward()
    assert x.grad is not None and x.grad.abs().max() > 0


@pytest.mark.filterwarnings("error:The given NumPy array", "error::RuntimeWarning")
@pytest.mark.parametrize("name", [n for n in VALUES if n not in ("int16, big-endian", "uint64", "bool")])
def test_weights(name: str, learners: dict[str, bl.Learner]) -> None:
    """Square ones, which stay so when turned."""
    spec = bl.NetworkSpec(SPEC.input, [bl.Dense(16, SPEC.layers[0].neuron)], bl.Readout(3), duration=20 * ms)
    drawn = RNG.integers(-8, 24, (16, 16)) / 8
    given = VALUES[name](drawn)
    weights = {"dense1": given, "readout": RNG.integers(-8, 8, (3, 16)) / 8}
    copies = {**weights, "dense1": plain(given)}
    for engine in ENGINES if name in BOTH_ENGINES else ["discrete"]:
        one = bl.Learner(spec, engine=engine, device=ENGINES[engine], dtype="float64")
        want = one.infer(one.init(copies), bl.Samples(X, Y))
        assert np.array_equal(one.infer(one.init(weights), bl.Samples(X, Y)).logits, want.logits)
        if isinstance(given, np.ndarray):
            state = LearnerState({**weights, "dense1": given})
            assert np.array_equal(one.infer(state, bl.Samples(X, Y)).logits, want.logits)
    logits = [bl.export(spec, w)(torch.tensor(X)).logits for w in (weights, copies)]
    assert torch.equal(*logits) and logits[0].abs().max() > 0


INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, ">i2", ">u4", ">i8"]


@pytest.mark.parametrize("kind", INTEGERS, ids=str)
def test_events_of_every_integer_type(kind: Any) -> None:
    """The last step that the type holds (or 2000) is as in int64."""
    last = min(int(np.iinfo(kind).max), 2000)
    step, neuron, offsets = np.array([last, 0, 3, last]), np.array([0, 1, 5, 5]), np.array([0, 1, 1, 4])
    given = bl.Events(step.astype(kind), neuron.astype(kind), offsets.astype(kind), (1, 2, 3))
    want = bl.Events(step, neuron, offsets, (1, 2, 3))
    assert given.step.dtype == given.neuron.dtype == given.offsets.dtype == np.int64
    assert given.durations.tolist() == [last + 1, 0, last + 1]
    assert given.digest() == want.digest()
    assert np.array_equal(given.dense(last + 1), want.dense(last + 1)) and given.dense(last + 1).sum() == 4
    assert given[1:].step.tolist() == [0, 3, last] and given[np.array([2, 0])].step.tolist() == [0, 3, last, last]
    assert given.window(np.array([1, 0, 2])).step.tolist() == [last - 1, 1, last - 2]
    encoder = bl.IntegrateEvents(1.5)
    empty = np.zeros((3, 2), np.uint64)
    assert np.array_equal(encoder.raster(given, last + 1, empty), encoder.raster(want, last + 1, empty))
    long = bl.Events(np.arange(last + 1).astype(kind), np.zeros(last + 1, kind), [0, last + 1], (1, 1, 1))
    for seed in range(5):
        keys = np.array([[seed, 0]], np.uint64)
        assert bl.RandomWindow(10)(bl.Samples(long, [0]), keys).inputs.dense(10).sum() == 10
    falling = np.array([0, 5, 3, 6]).astype(kind)
    with pytest.raises(DataError, match="offsets do not divide"):
        bl.Events(np.arange(6), np.zeros(6, int), falling, (1, 1, 1))


@pytest.mark.parametrize("kind", INTEGERS, ids=str)
def test_labels_and_ids_of_every_integer_type(kind: Any) -> None:
    samples = bl.Samples(X, Y.astype(kind), np.arange(6).astype(kind)[::-1])
    assert samples.labels.dtype == samples.ids.dtype == np.int64
    assert samples.labels.tolist() == Y.tolist() and samples.ids.tolist() == [5, 4, 3, 2, 1, 0]


def test_events_from_tensors() -> None:
    given = bl.Events(torch.tensor([0, 3]), torch.tensor([1, 2], dtype=torch.uint8), torch.tensor([0, 2]), (1, 2, 3))
    assert given.step.tolist() == [0, 3] and given.neuron.tolist() == [1, 2]
    raw = bl.RawEvents(
        torch.tensor([5.0, 7.0], requires_grad=True), [1, 2], np.array([1, 2], ">u2"), np.array([True, False])
    )
    assert raw.time.tolist() == [5, 7] and raw.y.tolist() == [1, 2] and raw.polarity.tolist() == [1, 0]


ENDS = {
    "a step beyond int64": (lambda: bl.Events(np.array([2**63], np.uint64), [0], [0, 1], (1,)), "too large"),
    "a step whose duration does not fit": (lambda: bl.Events([2**63 - 1], [0], [0, 1], (1,)), "out of range"),
    "a neuron beyond int64": (lambda: bl.Events([0], np.array([2**64 - 1], np.uint64), [0, 1], (4,)), "too large"),
    "steps that no integer type holds": (lambda: bl.Events([2**70], [0], [0, 1], (1,)), "does not hold integers"),
    "steps that are no array": (lambda: bl.Events([[0], [1, 2]], [0, 0], [0, 2], (1,)), "step are not numbers"),
    "a single step": (lambda: bl.Events(np.int64(3), np.int64(0), [0, 1], (1,)), "differ in shape"),
    "truth values as steps": (lambda: bl.Events([True], [0], [0, 1], (1,)), "does not hold integers"),
    "a shape of no numbers": (lambda: bl.Events([0], [0], [0, 1], "ab"), "shape is wrong"),
    "a shape without inputs": (lambda: bl.Events([], [], [0], (1, 0)), "shape is wrong"),
    "a label beyond int64": (lambda: bl.Samples(X, np.full(6, 2**63, np.uint64)), "too large"),
    "complex inputs": (lambda: bl.Samples(X + 1j), "complex"),
    "text": (lambda: bl.Samples(np.full((2, 3), "1")), "not numbers"),
    "dates": (lambda: bl.Samples(np.full((2, 3), "2020-01-01", "datetime64[s]")), "not numbers"),
    "objects": (lambda: bl.Samples(np.full((2, 3), {}, object)), "not numbers"),
    "a ragged list": (lambda: bl.Samples([[1, 2], [3]]), "inhomogeneous"),
    "a masked array": (lambda: bl.Samples(np.ma.masked_less(X, 0.5)), "masked"),
    "a sparse tensor": (lambda: bl.Samples(torch.eye(3).to_sparse()), "not numbers"),
    "a tensor without values": (lambda: bl.Samples(torch.empty(2, 3, device="meta")), "not numbers"),
    "complex tensors": (lambda: bl.export(SPEC)(torch.ones(2, 1, 4, 4, dtype=torch.complex64)), "real numbers"),
    "times that are not whole": (lambda: bl.RawEvents([0.5], [0], [0], [0]), "no whole numbers"),
    "a time that is NaN": (lambda: bl.RawEvents([np.nan], [0], [0], [0]), "no whole numbers"),
    "a time beyond int64": (lambda: bl.RawEvents(np.array([2**63], np.uint64), [0], [0], [0]), "too large"),
    "lists of different lengths": (lambda: bl.RawEvents([1, 2], [0], [0, 0], [0, 0]), "differ in shape"),
    "an image with NaN": (lambda: bl.EventCamera().record(np.full((1, 8, 8), np.nan)), "out of range"),
    "a darker image than black": (lambda: bl.EventCamera().record(np.full((1, 8, 8), -1.0)), "out of range"),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_is_refused(name: str) -> None:
    make, message = ENDS[name]
    with pytest.raises(bl.errors.BrianLearnError, match=message):
        make()


def test_refused_weights() -> None:
    one = learner("discrete")
    good = one.init().weights
    for wrong, message in (
        (good["dense1"] + 1j, "complex"),
        (good["dense1"].astype(str), "not numbers"),
        (good["dense1"].astype(int), "not real numbers"),
        ([[1.0], [2.0, 3.0]], "not numbers"),
        (torch.empty(20, 16, device="meta"), "not numbers"),
    ):
        with pytest.raises(WeightsError, match=message):
            one.init({**good, "dense1": wrong})
    narrow = bl.Learner(SPEC, engine="discrete", device="cpu", dtype="float32")
    with pytest.raises(WeightsError, match="too large for float32"):
        narrow.init({**good, "dense1": good["dense1"] * 1e300})


def test_views_stay_views() -> None:
    """Nothing is copied that need not be."""
    x = np.zeros((4, 5))
    assert numbers("x", "x", x[1:, ::2], "").base is x
    k = np.zeros(4, np.int64)
    assert integers("k", "k", k, "") is k


@pytest.mark.parametrize(
    "make",
    [
        lambda: bl.Samples(X * mV),
        lambda: bl.Samples({"input": X * mV}),
        lambda: bl.Samples([x * mV for x in X.ravel()]),
        lambda: bl.Samples(X, Y * ms),
        lambda: bl.Samples(X, ids=Y * ms),
        lambda: bl.RawEvents(np.arange(4) * us, [0] * 4, [0] * 4, [0] * 4),
        lambda: bl.Learner(SPEC, None, engine="discrete").init(
            {"dense1": np.ones((20, 16)) * mV, "readout": np.ones((3, 20))}
        ),
    ],
)
def test_units_are_not_dropped(make: Callable[[], Any]) -> None:
    """Numpy would take them for numbers of base units: 1 mV would be 0.001."""
    with pytest.raises(UnitError, match="unit"):
        make()
