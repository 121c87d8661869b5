from __future__ import annotations

import numpy as np
import pytest

from allfocus.engine.base import Estimate, check_inputs, is_finite
from allfocus.errors import OptionError
from allfocus.weights.card import Card

CARD = Card("small", {}, 1, 16, 16, "0" * 64, "none")
DUAL = Card("dual", {}, 1, 8, 16, "0" * 64, "none", views=2, inputs=("photo", "pair"))


def batch(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return np.zeros(shape, dtype)


def test_fitting_inputs_pass_in_the_order_of_the_graph() -> None:
    photo, pair = batch(2, 3, 16, 24), batch(2, 6, 16, 24)
    assert check_inputs(CARD, batch(1, 3, 16, 32), None)[0].shape == (1, 3, 16, 32)
    assert [array is given for array, given in zip(check_inputs(DUAL, photo, pair), (photo, pair), strict=True)]


@pytest.mark.parametrize(
    "wrong",
    [
        batch(1, 3, 16, 17),
        batch(1, 3, 8, 16),
        batch(1, 4, 16, 16),
        batch(3, 16, 16),
        batch(0, 3, 16, 16),
        batch(1, 3, 0, 16),
        batch(1, 3, 16, 16, dtype=np.float64),
        batch(1, 3, 16, 16, dtype=np.uint8),
    ],
)
def test_other_batches_are_refused_with_their_shape(wrong: np.ndarray) -> None:
    with pytest.raises(OptionError, match="float32 with H and W multiples of 16") as refusal:
        check_inputs(CARD, wrong, None)
    assert str(wrong.shape) in refusal.value.got


def test_a_pair_goes_with_two_views_only() -> None:
    with pytest.raises(OptionError, match="no dual-pixel pair for dual"):
        check_inputs(DUAL, batch(1, 3, 8, 8), None)
    with pytest.raises(OptionError, match="a dual-pixel pair for small, a network of 1 view"):
        check_inputs(CARD, batch(1, 3, 16, 16), batch(1, 6, 16, 16))
    with pytest.raises(OptionError, match="the photo's"):
        check_inputs(DUAL, batch(1, 3, 8, 8), batch(1, 6, 8, 16))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_value_is_seen_in_either_output(bad: float) -> None:
    good, broken = np.full((1, 3, 64, 64), 1e30, np.float32), np.zeros((1, 3, 64, 64), np.float32)
    broken[0, 1, 5, 7] = bad
    assert is_finite(Estimate(good, None))
    assert is_finite(Estimate(good, good))
    assert not is_finite(Estimate(broken, good))
    assert not is_finite(Estimate(good, broken))


def test_opposite_infinities_do_not_cancel() -> None:
    broken = np.zeros((1, 3, 8, 8), np.float32)
    broken[0, 0, 0, :2] = np.inf, -np.inf
    assert not is_finite(Estimate(broken, None))
