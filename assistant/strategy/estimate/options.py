"""Computes one way of serving after another: what it costs at once, by month and in all.

Reads no load beyond its tokens and cards, and decides nothing (`costs` compares). Residual
value, interest, tax and price changes are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from assistant.strategy.estimate.assumptions import Prices
from assistant.strategy.estimate.hardware import Gpu
from assistant.strategy.estimate.load import Load
from assistant.strategy.estimate.ranges import Range, exactly, figure, number, range_of
from assistant.strategy.estimate.serving import Serving
from assistant.strategy.guidance import guidance
from assistant.strategy.types import Figure, Source, Statement, Words

OptionKey = Literal["api", "rented", "rented_always", "own", "existing", "cpu"]

CNY = Words("元", "CNY")
_MONTHLY = Words("元/月", "CNY a month")
_MILLION = 1e6

NAMES: dict[OptionKey, Words] = {
    "api": Words("调用API", "API"),
    "rented": Words("租GPU，工作时段", "Rented GPU, working hours"),
    "rented_always": Words("租GPU，全天", "Rented GPU, round the clock"),
    "own": Words("自购GPU", "Own GPU"),
    "existing": Words("用现有GPU", "Existing GPU"),
    "cpu": Words("用现有CPU服务器", "Existing CPU server"),
}


@dataclass(frozen=True)
class Option:
    """A way of serving and its costs in CNY.

    ``monthly`` is paid each month, ``per_month`` spreads ``upfront`` over the months besides;
    ``low``, ``likely`` and ``high`` are what has been paid at the end of each month.
    ``barred`` says why it is out of the question.
    """

    key: OptionKey
    name: Words
    upfront: Figure
    monthly: Figure
    per_month: Figure
    total: Figure
    low: tuple[float, ...]
    likely: tuple[float, ...]
    high: tuple[float, ...]
    barred: Statement | None = None

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Return its figures in the order they are read."""
        return (self.upfront, self.monthly, self.per_month, self.total)

    def barred_by(self, reason: Statement | None) -> Option:
        """Return the option, barred where there is a reason."""
        return replace(self, barred=reason) if reason else self


@dataclass(frozen=True)
class _Cost:
    """An amount as a range, the arithmetic of its likely value, the assumptions it uses."""

    values: Range
    formula: str
    keys: tuple[str, ...]
    sources: tuple[Source, ...] = ()

    def __add__(self, other: _Cost) -> _Cost:
        return _Cost(
            self.values + other.values,
            f"{self.formula} + {other.formula}",
            self.keys + other.keys,
            self.sources + other.sources,
        )


_NOTHING_AT_ONCE = _Cost(exactly(0), "0", ())


def api(load: Load, prices: Prices, months: int) -> Option:
    """Return calling a vendor: input × its price + output × its price (guidance ch. 19)."""
    return _option("api", _NOTHING_AT_ONCE, api_bill(load, prices), prices, months)


def api_bill(load: Load, prices: Prices) -> _Cost:
    """Return the monthly API bill."""
    into = load.calls * load.prompt_tokens / _MILLION
    out = load.calls * load.output_tokens / _MILLION
    price_in, price_out = prices.values("api_input"), prices.values("api_output")
    return _Cost(
        price_in * into + price_out * out,
        f"{number(into)} × {number(price_in.likely)} + {number(out)} × {number(price_out.likely)}",
        ("api_input", "api_output"),
        (guidance(19, "How is a monthly API bill estimated?"),),
    )


def rented(serving: Serving, prices: Prices, months: int, always: bool) -> Option:
    """Return renting the cards: rent × hours × cards + staff."""
    key: OptionKey = "rented_always" if always else "rented"
    hours_key = "rented_hours_always" if always else "rented_hours_working"
    rent_key = f"rent_{serving.gpu.tier}"
    rent, hours = prices.values(rent_key), prices.values(hours_key)
    cards = range_of(serving.gpus)
    cost = _Cost(
        rent * hours * cards,
        f"{number(rent.likely)} × {number(hours.likely)} × {number(cards.likely)}",
        (rent_key, hours_key),
        serving.gpus.sources,
    )
    return _option(key, _NOTHING_AT_ONCE, cost + staff("staff_gpu", prices), prices, months)


def own(serving: Serving, prices: Prices, months: int) -> Option:
    """Return buying the cards: price × cards at once, power, hosting and staff by month."""
    key = f"server_{serving.gpu.tier}"
    price, cards = prices.values(key), range_of(serving.gpus)
    bought = _Cost(
        price * cards,
        f"{number(price.likely)} × {number(cards.likely)}",
        (key,),
        serving.gpus.sources,
    )
    running = keeping(serving.gpu, cards, prices) + staff("staff_gpu", prices)
    return _option("own", bought, running, prices, months)


def existing(serving: Serving, owned: int, prices: Prices, months: int) -> Option:
    """Return running the cards the company has: power, hosting and staff, nothing at once."""
    cards = range_of(serving.gpus).each(lambda needed: min(needed, owned))
    running = keeping(serving.gpu, cards, prices) + staff("staff_gpu", prices)
    return _option("existing", _NOTHING_AT_ONCE, running, prices, months)


def cpu(prices: Prices, months: int) -> Option:
    """Return running a CPU server the company has: power and staff."""
    power, hours, price = map(prices.values, ("cpu_power", "powered_hours", "electricity"))
    electricity = _Cost(
        power * hours * price,
        f"{number(power.likely)} × {number(hours.likely)} × {number(price.likely)}",
        ("cpu_power", "powered_hours", "electricity"),
    )
    return _option(
        "cpu", _NOTHING_AT_ONCE, electricity + staff("staff_cpu", prices), prices, months
    )


def keeping(gpu: Gpu, cards: Range, prices: Prices) -> _Cost:
    """Return a month's power and hosting of own cards; the server's power is shared out."""
    power = prices.values("host_power") + exactly(gpu.power_w / 1000)
    hours, price, hosting = map(prices.values, ("powered_hours", "electricity", "hosting"))
    return _Cost(
        (power * hours * price + hosting) * cards,
        f"({number(power.likely)} × {number(hours.likely)} × {number(price.likely)} + "
        f"{number(hosting.likely)}) × {number(cards.likely)}",
        ("host_power", "powered_hours", "electricity", "hosting"),
        gpu.sources,
    )


def staff(key: str, prices: Prices) -> _Cost:
    """Return a month's staff beyond what an API needs; one team whatever the cards."""
    persons, cost = prices.values(key), prices.values("staff_month")
    return _Cost(
        persons * cost, f"{number(persons.likely)} × {number(cost.likely)}", (key, "staff_month")
    )


def _option(key: OptionKey, upfront: _Cost, monthly: _Cost, prices: Prices, months: int) -> Option:
    total = upfront.values + monthly.values * months
    both = _Cost(total, f"{upfront.formula} + {months} × ({monthly.formula})", ())
    sources = tuple(
        dict.fromkeys(
            (
                guidance(19, "Which is cheaper: API, rented GPU, own GPU or CPU?"),
                *upfront.sources,
                *monthly.sources,
                *prices.sources(*upfront.keys, *monthly.keys),
            )
        )
    )

    def amount(name: str, label: Words, values: Range, unit: Words, formula: str) -> Figure:
        return figure(f"{key}_{name}", label, values, unit, formula, sources)

    def paid(at_once: float, each: float) -> tuple[float, ...]:
        return tuple(at_once + each * month for month in range(1, months + 1))

    at_once, each = upfront.values, monthly.values
    return Option(
        key=key,
        name=NAMES[key],
        upfront=amount("upfront", Words("一次性投入", "At once"), at_once, CNY, upfront.formula),
        monthly=amount("monthly", Words("每月支出", "Each month"), each, _MONTHLY, monthly.formula),
        per_month=amount(
            "per_month",
            Words("折合每月成本", "Per month, purchase spread"),
            total / months,
            _MONTHLY,
            f"({both.formula}) ÷ {months}",
        ),
        total=amount("total", Words("总成本", "In all"), total, CNY, both.formula),
        low=paid(at_once.low, each.low),
        likely=paid(at_once.likely, each.likely),
        high=paid(at_once.high, each.high),
    )
