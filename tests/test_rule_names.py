"""Rules and losses by name, as command lines and studies give them."""

from __future__ import annotations

import pytest
from brian2 import ms

import brianlearn as bl
from brianlearn.errors import RuleError
from brianlearn.learning.named import LOSSES, with_loss_named
from brianlearn.study.parameters import with_parameters


def _experiment() -> bl.Experiment:
    spec = bl.NetworkSpec(bl.Input((4,)), [bl.Dense(3, bl.SequenceLIF())], None, duration=9 * ms)
    rule = bl.STBP(loss=bl.VanRossum(tau=3 * ms), reset_path="detached", learning_rate_scale={"dense1": 2.0})
    return bl.Experiment(spec, rule, data="digits")


def test_a_loss_by_name_keeps_the_rest_of_the_rule() -> None:
    rule = with_parameters(_experiment(), {"loss": "hamming"}).rule
    assert isinstance(rule, bl.STBP) and isinstance(rule.loss, bl.Hamming)
    assert rule.reset_path == "detached" and rule.learning_rate_scale == {"dense1": 2.0}
    assert set(LOSSES) == {"van-rossum", "hamming", "spike-count", "rate-mse", "readout-mse", "cross-entropy"} | {
        "mse",
        "mae",
        "huber",
    }


def test_the_rule_s_own_loss_stays_as_it_is() -> None:
    rule = _experiment().rule
    assert with_loss_named(rule, "van-rossum") is rule


@pytest.mark.parametrize(("rule", "name", "text"), [(bl.STBP(), "hinge", "van-rossum"), (bl.TFR(), "hamming", "stbp")])
def test_what_has_no_loss_of_that_name_says_what_has(rule: bl.Rule, name: str, text: str) -> None:
    with pytest.raises(RuleError, match=text):
        with_loss_named(rule, name)
