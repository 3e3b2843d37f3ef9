"""Describes how much a service is asked: users, calls, tokens, the peak."""

from __future__ import annotations

from dataclasses import dataclass, fields

from assistant.strategy.estimate.ranges import positive


@dataclass(frozen=True)
class Load:
    """What a service has to bear.

    ``working_days`` are a month's, ``hours`` a day's; ``peak_factor`` is the busiest time's
    share over the mean. Ten tokens a second is about twice what people read (silent reading of
    English is about 238 words a minute: Brysbaert 2019). The first token is wanted within
    ``first_token_seconds``.

    Raises:
        ValueError: a value is not a finite number above zero, or the peak is below the mean.
    """

    users: float
    calls_per_user_day: float
    working_days: float = 22
    hours: float = 8
    peak_factor: float = 3
    prompt_tokens: float = 3000
    output_tokens: float = 500
    target_tokens_per_second: float = 10
    first_token_seconds: float = 5

    def __post_init__(self) -> None:
        for field in fields(self):
            positive(field.name, getattr(self, field.name))
        if self.peak_factor < 1:
            raise ValueError(f"peak_factor {self.peak_factor} is below the mean: give 1 or more.")
        if self.hours > 24 or self.working_days > 31:
            raise ValueError("A day has 24 hours and a month 31 days at most: correct the load.")

    @property
    def calls(self) -> float:
        """Return the calls a month."""
        return self.users * self.calls_per_user_day * self.working_days

    @property
    def call_tokens(self) -> float:
        """Return the tokens of a call, prompt and output."""
        return self.prompt_tokens + self.output_tokens

    @property
    def mean_rate(self) -> float:
        """Return the calls a second over the working hours."""
        return self.calls / (self.working_days * self.hours * 3600)

    @property
    def peak_rate(self) -> float:
        """Return the calls a second at the peak."""
        return self.mean_rate * self.peak_factor
