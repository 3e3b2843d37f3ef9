"""Compares the ways of serving over the months: which are barred, which is cheapest, when to buy.

Money alone; quality, delay and risk are weighed elsewhere. Sources: the guidance's chapter 19.
"""

from __future__ import annotations

from dataclasses import dataclass

from assistant.strategy.estimate import options as ways
from assistant.strategy.estimate.assumptions import Prices
from assistant.strategy.estimate.cpu import CpuServing, serve_cpu
from assistant.strategy.estimate.hardware import find_cpu
from assistant.strategy.estimate.load import Load
from assistant.strategy.estimate.options import Option
from assistant.strategy.estimate.ranges import Range, figure, number, positive, range_of
from assistant.strategy.estimate.serving import Serving
from assistant.strategy.guidance import guidance
from assistant.strategy.types import Figure, Statement, Words

_OUTSIDE = ("api", "rented", "rented_always")
_DEFAULT_CPU = "cpu-100"


@dataclass(frozen=True)
class Costs:
    """The ways of serving a load over ``months``.

    ``cheapest`` is the least likely total among those not barred, None where all are.
    ``api_price`` is the blended price; ``break_even`` the million tokens a month above which
    owning beats the API, ``break_even_calls`` the same in calls, None where the API is barred
    or owning is; ``rent_or_buy`` the hours a month above which buying beats renting.
    """

    months: int
    options: tuple[Option, ...]
    cheapest: Option | None
    api_price: Figure
    break_even: Figure | None
    break_even_calls: Figure | None
    rent_or_buy: Figure
    cpu: CpuServing

    def option(self, key: str) -> Option:
        """Return an option by its key.

        Raises:
            LookupError: there is none; the message lists those there are.
        """
        for option in self.options:
            if option.key == key:
                return option
        raise LookupError(f"No option {key!r}; choose {', '.join(o.key for o in self.options)}.")


def compare(
    load: Load,
    serving: Serving,
    prices: Prices,
    *,
    data_may_leave: str | None,
    owned_gpus: int = 0,
    months: int = 36,
    cpu: CpuServing | None = None,
) -> Costs:
    """Compare API, rented, own, existing GPUs and a CPU server.

    ``owned_gpus`` are cards of the serving's kind; they are an option where the likely need is
    met. ``data_may_leave`` "no" bars whatever runs outside the company. ``cpu`` is the server
    the company has, else one of 100 GB/s with the model at 4 bits.

    Raises:
        ValueError: the load is not the serving's, the months are not positive, or the owned
            cards negative.
    """
    positive("Months", months)
    if owned_gpus < 0:
        raise ValueError(f"Owned GPUs cannot be {owned_gpus}: give 0 or more.")
    if load != serving.load:
        raise ValueError("The serving was estimated for another load: call serve with this one.")
    cpu = cpu or serve_cpu(serving.model, 4, find_cpu(_DEFAULT_CPU), load, prices)
    offered = [
        ways.api(load, prices, months),
        ways.rented(serving, prices, months, always=False),
        ways.rented(serving, prices, months, always=True),
        ways.own(serving, prices, months),
        ways.cpu(prices, months),
    ]
    if owned_gpus and owned_gpus >= serving.gpus.likely:
        offered.insert(4, ways.existing(serving, owned_gpus, prices, months))
    options = tuple(each.barred_by(_barred(each, data_may_leave, cpu)) for each in offered)
    return _compared(load, serving, prices, months, options, cpu)


def break_even_tokens(fixed: float, api_price: float, own_variable: float = 0.0) -> float:
    """Return Q* = F ÷ (p − v) in million tokens a month (guidance ch. 19).

    Raises:
        ValueError: the API is not dearer a token than the own variable cost: it never evens out.
    """
    positive("Fixed cost", fixed)
    if not api_price > own_variable >= 0:
        raise ValueError(
            f"At an API price of {api_price} and an own variable cost of {own_variable} a "
            "million tokens self-hosting never evens out: check both prices."
        )
    return fixed / (api_price - own_variable)


def rent_or_buy_hours(fixed: float, rent: float) -> float:
    """Return the hours a month above which buying beats renting: fixed ÷ hourly rent (ch. 19)."""
    return positive("Fixed cost", fixed) / positive("Rent", rent)


def _compared(
    load: Load,
    serving: Serving,
    prices: Prices,
    months: int,
    options: tuple[Option, ...],
    cpu: CpuServing,
) -> Costs:
    by_key = {option.key: option for option in options}
    open_ = [option for option in options if option.barred is None]
    price = _api_price(load, prices)
    own = by_key["own"]
    even = None if by_key["api"].barred or own.barred else _break_even(own, price)
    return Costs(
        months=months,
        options=options,
        cheapest=min(open_, key=lambda option: option.total.likely, default=None),
        api_price=price,
        break_even=even,
        break_even_calls=_in_calls(even, load) if even else None,
        rent_or_buy=_rent_or_buy(own, serving, prices),
        cpu=cpu,
    )


def _barred(option: Option, data_may_leave: str | None, cpu: CpuServing) -> Statement | None:
    if option.key in _OUTSIDE and data_may_leave == "no":
        return Statement(
            Words(
                "数据不得离开公司，只能在本地方案之间比较。",
                "Data may not leave the company, so only on-premises options are compared.",
            ),
            (
                guidance(
                    19,
                    "Should a company rent or buy GPUs?",
                    "《数据安全法》《个人信息保护法》或合同不许数据离开公司时，"
                    "价格比较只能在本地方案之间进行，由法务确认。",
                    "Where China's Data Security Law, PIPL or a contract forbids data to leave "
                    "the company, compare on-premises options only, after legal review.",
                ),
            ),
        )
    if option.key == "cpu" and not cpu.keeps_up:
        return _too_slow(cpu)
    return None


def _too_slow(cpu: CpuServing) -> Statement:
    words = Words(
        "CPU供不上：高峰时每秒要输出约{needed:.0f}个token，单路大约只有{speed:.0f}个。",
        "The CPU cannot keep up: the peak asks about {needed:.0f} output tokens a second, "
        "and a single stream gives about {speed:.0f}.",
    )
    sources = (*cpu.speed.sources, *cpu.needed.sources)
    text = words.filled(needed=cpu.needed.high, speed=cpu.speed.likely)
    return Statement(text, tuple(dict.fromkeys(sources)))


def _api_price(load: Load, prices: Prices) -> Figure:
    bill = ways.api_bill(load, prices)
    tokens = load.calls * load.call_tokens / 1e6
    return figure(
        "api_price",
        Words("API混合单价", "Blended API price"),
        bill.values / tokens,
        Words("元/百万token", "CNY per million tokens"),
        f"({bill.formula}) ÷ {number(tokens)}",
        (*bill.sources, *prices.sources(*bill.keys)),
    )


def _break_even(own: Option, price: Figure) -> Figure:
    fixed = own.per_month
    return figure(
        "break_even",
        Words("自购与API的盈亏平衡用量", "Break-even volume of owning against the API"),
        Range(
            break_even_tokens(fixed.low, price.high),
            break_even_tokens(fixed.likely, price.likely),
            break_even_tokens(fixed.high, price.low),
        ),
        Words("百万token/月", "million tokens a month"),
        f"{number(fixed.likely)} ÷ {number(price.likely)}",
        (
            guidance(19, "How is the break-even point of self-hosting calculated?"),
            *fixed.sources,
            *price.sources,
        ),
    )


def _in_calls(even: Figure, load: Load) -> Figure:
    return figure(
        "break_even_calls",
        Words("盈亏平衡的每月调用次数", "Break-even in calls a month"),
        range_of(even) * (1e6 / load.call_tokens),
        Words("次/月", "calls a month"),
        f"{number(even.likely)} × 10^6 ÷ {number(load.call_tokens)}",
        even.sources,
    )


def _rent_or_buy(own: Option, serving: Serving, prices: Prices) -> Figure:
    cards = range_of(serving.gpus)
    rent = prices.values(f"rent_{serving.gpu.tier}")
    kept = ways.keeping(serving.gpu, cards, prices).values
    fixed = range_of(own.upfront) / len(own.likely) + kept
    return figure(
        "rent_or_buy",
        Words("租与买的平衡小时数", "Hours at which buying and renting even out"),
        Range(
            rent_or_buy_hours(fixed.low / cards.low, rent.high),
            rent_or_buy_hours(fixed.likely / cards.likely, rent.likely),
            rent_or_buy_hours(fixed.high / cards.high, rent.low),
        ),
        Words("小时/月", "hours a month"),
        f"{number(fixed.likely)} ÷ ({number(rent.likely)} × {number(cards.likely)})",
        (
            guidance(19, "Should a company rent or buy GPUs?"),
            *own.per_month.sources,
            *prices.sources(f"rent_{serving.gpu.tier}"),
        ),
    )
