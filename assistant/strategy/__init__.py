"""From questions to a written, cited plan: interview, readiness, use cases, estimates, brief.

`Assistant.strategies` leads a principal's strategies; the steps can be entered one by one
too: a `Profile` becomes a `Plan`, a plan a `Brief`, and a brief files.
"""

from assistant.strategy.brief import Narrator, write
from assistant.strategy.desk import Strategies
from assistant.strategy.interview import Turn
from assistant.strategy.plan import Plan, make_plan
from assistant.strategy.profile import Given, Profile, compare, form
from assistant.strategy.render import write_brief
from assistant.strategy.store import Strategy
from assistant.strategy.types import Brief, Figure, Source, Statement, Words
from assistant.strategy.usecases import Weights

__all__ = [
    "Brief",
    "Figure",
    "Given",
    "Narrator",
    "Plan",
    "Profile",
    "Source",
    "Statement",
    "Strategies",
    "Strategy",
    "Turn",
    "Weights",
    "Words",
    "compare",
    "form",
    "make_plan",
    "write",
    "write_brief",
]
