"""Serving and three-year costs against the guidance's chapters 16 and 19."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.strategy.estimate import (
    Costs,
    Load,
    Serving,
    compare,
    find_cpu,
    find_gpu,
    find_model,
    load_prices,
    output_needed,
    serve,
    serve_cpu,
)
from assistant.strategy.estimate.costs import break_even_tokens, rent_or_buy_hours
from assistant.strategy.estimate.decoding import decode_limit, streams_in_flight
from assistant.strategy.estimate.memory import kv_bytes_per_token, weight_bytes
from assistant.strategy.estimate.serving import serving_memory
from assistant.strategy.types import Source, same

LOAD = Load(users=400, calls_per_user_day=10)
PRICES = load_prices()


def served(load: Load = LOAD, card: str = "L40S", model: str = "Llama 3 8B") -> Serving:
    return serve(find_model(model), 16, find_gpu(card), load, PRICES)


def compared(leave: str | None = "yes", owned: int = 0, load: Load = LOAD) -> Costs:
    return compare(load, served(load), PRICES, data_may_leave=leave, owned_gpus=owned)


# -- chapter 16 ---------------------------------------------------------------------------------


def test_the_example_of_a_thousand_staff_fits_48_gb() -> None:
    model = find_model("Llama 3 8B")
    assert streams_in_flight(200 / 240, 18) == pytest.approx(15)
    cache = 16 * 8192 * kv_bytes_per_token(model) / 1e9
    assert round(cache, 1) == 17.2
    assert round(serving_memory(weight_bytes(8e9, 16) / 1e9, cache)) == 37
    assert decode_limit(find_gpu("L40S").bandwidth_gbs, 16) == 54


# -- serving ------------------------------------------------------------------------------------


def test_decoding_by_hand() -> None:
    """51 streams: (16.06 + 51 × 0.458752) GB ÷ (864 × 0.7) GB/s a step, 0.3327 s a prompt."""
    found = served()
    step = (16.06 + 51 * 0.458752) / (864 * 0.7)
    prompt = 2 * 8.03e9 * 3000 / (362e12 * 0.4)
    assert found.streams_per_gpu.likely == 51
    assert found.tokens_per_second.likely == pytest.approx(51 * 500 / (500 * step + 51 * prompt))
    assert found.gpus.likely == 1
    assert found.fits and found.meets_speed and found.meets_first_token


def test_littles_law_holds_at_the_peak() -> None:
    found = served()
    seconds = LOAD.output_tokens / found.stream_speed.likely
    assert found.peak_streams.likely == pytest.approx(LOAD.peak_rate * seconds)


def test_the_peak_is_three_times_the_mean() -> None:
    """88,000 calls over 22 × 8 × 3600 seconds, three times."""
    assert LOAD.peak_rate == pytest.approx(88_000 / 633_600 * 3)
    assert served(Load(4000, 10)).gpus.likely == 5  # ⌈4.167 ÷ 1.028⌉


def test_splitting_costs_bandwidth_and_computing() -> None:
    """Two H100s read 141.2 GB and one stream's cache at 0.7 of 2 × 3350 GB/s, 0.85 of it."""
    found = served(card="H100", model="Llama 3.1 70B")
    step = (141.2 + 1.14688) / (2 * 3350 * 0.7 * 0.85)
    prompt = 2 * 70.6e9 * 3000 / (2 * 989e12 * 0.4 * 0.85)
    assert found.first_token.likely == pytest.approx(step + prompt)


def test_a_model_too_large_is_split_over_a_power_of_two() -> None:
    found = served(card="H100", model="Llama 3.1 70B")
    assert (found.fits, found.cards_per_replica) == (False, 2)
    assert found.gpus.likely % 2 == 0


def test_what_does_not_fit_is_refused_with_a_remedy() -> None:
    with pytest.raises(ValueError, match="choose a smaller model"):
        served(card="T4", model="Llama 3.1 405B")
    with pytest.raises(ValueError, match="shorten the prompt"):
        served(Load(400, 10, prompt_tokens=9000))
    with pytest.raises(ValueError, match="1 or more"):
        Load(400, 10, peak_factor=0.5)


def test_a_mixture_of_experts_decodes_faster_than_its_size() -> None:
    sparse = served(card="H200", model="Qwen3 30B-A3B")
    dense = served(card="H200", model="Qwen3 32B")
    assert sparse.tokens_per_second.likely > 2 * dense.tokens_per_second.likely


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 20_000), st.floats(1.0, 5))
def test_more_users_never_need_fewer_cards(users: int, more: float) -> None:
    few, many = (served(Load(count, 10)) for count in (users, users * more))
    assert few.gpus.likely <= many.gpus.likely
    assert few.gpus.high <= many.gpus.high


def test_every_figure_is_sourced_and_written_out() -> None:
    costs = compared(owned=1)
    figures = [*served().figures, *(f for o in costs.options for f in o.figures)]
    assert len({figure.key for figure in figures}) == len(figures)
    for figure in figures:
        assert figure.sources and figure.formula and figure.label.zh and figure.unit.en


# -- chapter 19 ---------------------------------------------------------------------------------


def test_the_load_of_the_guidance() -> None:
    assert LOAD.calls == 88_000
    assert LOAD.calls * LOAD.call_tokens == 308e6
    assert round(output_needed(LOAD).likely) == 69


@pytest.mark.parametrize(
    ("key", "monthly"),
    [("api", 1584), ("rented", 7640), ("rented_always", 13640), ("own", 11000), ("cpu", 2719)],
)
def test_the_table_of_monthly_costs(key: str, monthly: int) -> None:
    option = compared().option(key)
    assert option.per_month.likely == pytest.approx(monthly, abs=1e-6)
    assert option.total.likely == pytest.approx(36 * monthly)
    assert option.total.low < option.total.likely < option.total.high


def test_break_even_and_rent_or_buy() -> None:
    costs = compared()
    assert round(costs.api_price.likely, 2) == 5.14
    assert costs.break_even is not None and costs.break_even_calls is not None
    assert round(costs.break_even.likely) == 2139
    assert round(costs.break_even_calls.likely, -3) == 611_000
    assert round(costs.break_even_calls.likely / LOAD.calls, 1) == 6.9
    assert costs.rent_or_buy.likely == pytest.approx(500)
    assert rent_or_buy_hours(6000, 12) == 500
    assert round(break_even_tokens(11_000, 1584 / 308)) == 2139
    with pytest.raises(ValueError, match="check both prices"):
        break_even_tokens(11_000, 2, 2)


def test_the_cpu_is_cheap_but_too_slow() -> None:
    costs = compared()
    assert costs.option("cpu").barred is not None
    assert costs.cheapest is not None and costs.cheapest.key == "api"
    assert round(decode_limit(100, 4.5)) == 22
    quiet = Load(users=5, calls_per_user_day=5)
    small = serve_cpu(find_model("Qwen2.5 1.5B"), 4, find_cpu("EPYC 9004"), quiet)
    assert small.keeps_up


def test_data_that_may_not_leave_bars_api_and_rent() -> None:
    costs = compared(leave="no")
    barred = {option.key for option in costs.options if option.barred}
    assert barred == {"api", "rented", "rented_always", "cpu"}
    assert costs.cheapest is not None and costs.cheapest.key == "own"
    assert costs.break_even is None
    assert not compared(leave=None).option("api").barred


def test_owned_cards_are_an_option_only_where_they_suffice() -> None:
    assert compared(owned=1).option("existing").monthly.likely == pytest.approx(6000)
    with pytest.raises(LookupError, match="rented_always"):
        compared(owned=1, load=Load(4000, 10)).option("existing")
    with pytest.raises(ValueError, match="0 or more"):
        compared(owned=-1)


def test_cumulative_costs_by_month() -> None:
    own = compared().option("own")
    assert len(own.low) == len(own.likely) == len(own.high) == 36
    assert own.likely[0] == pytest.approx(186_000)
    assert own.likely[-1] == pytest.approx(own.total.likely)
    assert own.low[-1] == pytest.approx(own.total.low)


def test_an_assumption_is_replaced_by_a_quotation() -> None:
    quoted = Source("answer", same("quotation"), reference="hardware.price")
    prices = PRICES.replaced("server_medium", 80_000, 90_000, 100_000, quoted)
    own = compare(LOAD, served(), prices, data_may_leave="yes").option("own")
    assert own.upfront.likely == 90_000
    assert quoted in own.total.sources
    assert PRICES.values("server_medium").likely == 180_000
    with pytest.raises(LookupError, match="choose one of"):
        PRICES.values("nothing")


def test_another_load_than_the_servings_is_refused() -> None:
    with pytest.raises(ValueError, match="call serve"):
        compare(Load(1, 1), served(), PRICES, data_may_leave=None)
