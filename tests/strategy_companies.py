"""The three companies that the strategy's tests plan for, and the profiles they give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from assistant.strategy.profile import Given, Profile, answered, form, parse

COMPANIES = ("bank", "hospital", "manufacturer")


def company(name: str) -> dict[str, Any]:
    text = (Path(__file__).parent / "data" / "strategy" / f"{name}.yaml").read_text("utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def profile_of(name: str) -> Profile:
    known = company(name)
    profile = Profile(company=known["company"], version=1, date="2026-11-24")
    for key, said in known["answers"].items():
        given = Given(parse(form().field(key), said), (answered(key, said),))
        profile = profile.with_answer(key, given)
    return profile
