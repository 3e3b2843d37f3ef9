"""Put 200 questions in 60 seconds from 40 people to the Slack bot, beside the fake Slack.

    python evals/bench/slack_load.py --questions 200 --seconds 60 --people 40

The bot and its assistant are the real ones, without models: the engine quotes, the embedder
counts. The fake Slack keeps Slack's documented limits, so what is measured is whether every
question is acknowledged at once and answered exactly once at Slack's own pace. Half of the
people write directly, the others mention the bot in four channels.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assistant import Assistant, Settings
from assistant.surfaces.slack.bot import Bot
from assistant.types import AnswerEvent
from tests.fake_slack import FakeSlack
from tests.fake_slack.people import Sent

CHANNELS = ("C1", "C2", "C3", "C4")
PAPER = (
    "# 休假制度\n\n员工每年享有十五天带薪年假。病假需要提交医院证明。\n\n"
    "## 婚假\n\n婚假为十天，应在登记后一年内休完。\n"
)
QUESTION = "员工每年享有几天年假？"
PATIENCE_S = 180.0


class Unhurried:
    """An assistant that takes its time, as one with a model does."""

    def __init__(self, assistant: Assistant, pause: float) -> None:
        self._assistant = assistant
        self._pause = pause

    def stream(self, question: str, **asked: Any) -> Iterator[AnswerEvent]:
        """Answer in no less than the pause."""
        for event in self._assistant.stream(question, **asked):
            if event.kind in ("token", "answer"):
                time.sleep(self._pause / 2)
            yield event

    def __getattr__(self, name: str) -> Any:
        return getattr(self._assistant, name)


def main() -> None:
    """Run the load and print what came of it; exit with 1 unless it was as it should be."""
    asked = _arguments()
    with tempfile.TemporaryDirectory() as folder, FakeSlack() as slack:
        people = [f"U{number}" for number in range(asked.people)]
        for person in people:
            slack.add_user(person, email=f"{person.lower()}@example.com")
        for channel in CHANNELS:
            slack.add_channel(channel, members=people)
        with Assistant(_settings(slack, Path(folder))) as assistant:
            paper = Path(folder) / "leave.md"
            paper.write_text(PAPER, "utf-8")
            assistant.ingest(paper)
            bot = Bot(assistant.settings, Unhurried(assistant, asked.pause))
            bot.start()
            try:
                sent = _ask(slack, people, asked.questions, asked.seconds)
                began = time.monotonic()
                bot.wait_idle(PATIENCE_S)
                waited = time.monotonic() - began
            finally:
                bot.stop()
        good = _report(slack, sent, waited)
    raise SystemExit(0 if good else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds an answer takes")
    return parser.parse_args()


def _settings(slack: FakeSlack, folder: Path) -> Settings:
    return Settings(
        data_dir=folder / "data",
        embedding_model="hash",
        engine="extractive",
        gate_threshold=0.0,
        slack_api_url=slack.api_url,
        slack_bot_token=slack.bot_token,
        slack_app_token=slack.app_token,
    )


def _ask(slack: FakeSlack, people: list[str], questions: int, seconds: float) -> list[Sent]:
    """Ask evenly over the seconds."""
    began = time.monotonic()
    sent = []
    for number in range(questions):
        time.sleep(max(0.0, began + number * seconds / questions - time.monotonic()))
        person = number % len(people)
        if person % 2:
            sent.append(slack.dm(people[person], QUESTION))
        else:
            channel = CHANNELS[person // 2 % len(CHANNELS)]
            sent.append(slack.say(people[person], channel, QUESTION))
    return sent


def _report(slack: FakeSlack, sent: list[Sent], waited: float) -> bool:
    """Print the figures; tell whether each question was acknowledged in a second, answered once."""
    answers: Counter[tuple[str, str]] = Counter()
    last = {call.arguments["ts"]: call.at for call in slack.calls if "ts" in call.arguments}
    ways: Counter[str] = Counter()
    seconds = []
    for channel in {each.channel for each in sent}:
        for message in slack.messages(channel):
            if not message.by_bot:
                continue
            answers[channel, message.thread_ts or ""] += 1
            ways["streamed" if message.stream else "edited" if message.edited else "at once"] += 1
            whole = last.get(message.ts, float(message.ts))
            seconds.append(whole - float(message.thread_ts or message.ts))
    once = sum(answers[each.channel, each.ts] == 1 for each in sent)
    acks = sorted(slack.acks.values())
    refused = sum(call.error == "ratelimited" for call in slack.calls)
    print(f"questions          {len(sent)}, answered exactly once {once}")
    print(f"acknowledged       p50 {_at(acks, 0.5):.3f} s · p95 {_at(acks, 0.95):.3f} s · "
          f"longest {acks[-1]:.3f} s of {len(acks)} envelopes")  # fmt: skip
    print(f"until it is whole   p50 {statistics.median(seconds):.2f} s · "
          f"p95 {_at(sorted(seconds), 0.95):.2f} s · longest {max(seconds):.2f} s")  # fmt: skip
    print(f"after the last     {waited:.1f} s until all was answered")
    print(f"shown              {dict(ways)}")
    print(f"Slack's side       {len(slack.calls)} calls, {refused} refused with 429, "
          f"{len(slack.violations)} limits broken")  # fmt: skip
    for violation in slack.violations[:10]:
        print(f"  {violation}")
    return once == len(sent) == sum(answers.values()) and acks[-1] <= 1 and not slack.violations


def _at(values: list[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)]


if __name__ == "__main__":
    main()
