"""Token rates: those of the study pass, others are refused with what would give them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicfm_pl.encoders.rates import check_rate, token_rate_hz


@pytest.mark.parametrize(("rate_hz", "hop", "stride"), [(25, 240, 4), (50, 240, 2), (75, 320, 1), (37.5, 320, 2)])
def test_the_study_s_rates_pass(rate_hz: float, hop: int, stride: int) -> None:
    check_rate(rate_hz, hop, stride)
    assert token_rate_hz(hop, stride) == rate_hz


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_75_hz_of_hop_240_is_refused_with_a_way(stride: int) -> None:
    message = "75 Hz asked for, but hop_length 240.*No stride reaches 75 Hz.*set hop_length 320 with stride 1"
    with pytest.raises(ValueError, match=message):
        check_rate(75, 240, stride)


def test_a_wrong_stride_is_named() -> None:
    with pytest.raises(ValueError, match="With this hop, 50 Hz needs stride 2"):
        check_rate(50, 240, 4)


@pytest.mark.parametrize("rate_hz", [0.0, -25.0, float("nan"), float("inf")])
def test_a_rate_is_positive(rate_hz: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        check_rate(rate_hz, 240, 4)


def test_a_rate_that_no_hop_gives() -> None:
    with pytest.raises(ValueError, match="no whole hop"):
        check_rate(25.1, 240, 4)


@given(hop=st.integers(1, 2000), stride=st.integers(1, 16), other=st.integers(1, 2000))
def test_exactly_the_actual_rate_passes(hop: int, stride: int, other: int) -> None:
    check_rate(token_rate_hz(hop, stride), hop, stride)
    if other != hop:
        with pytest.raises(ValueError, match="Hz"):
            check_rate(token_rate_hz(other, stride), hop, stride)


@pytest.mark.parametrize(("hop", "stride"), [(0, 4), (240, 0)])
def test_sizes_are_positive(hop: int, stride: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        token_rate_hz(hop, stride)
