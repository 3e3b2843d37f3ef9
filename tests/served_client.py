"""A program with every right at a server of its own: `served`, `client` and `filled`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Served, serving_here

from assistant import Assistant, Client, Principal

LIN = Principal("lin", ["人事部", "hr north"])


WU = Principal("wu", ["finance"])


LEAVE = "员工每年的年假有几天？"


BUDGET = "2026年大模型专项预算是多少？"


# What concerns the server's own process alone.
AT_HOME = {"announce", "citation", "forget", "groups", "reviewable", "usage", "use_engine"}


@pytest.fixture
def served(assistant: Assistant) -> Iterator[Served]:
    with serving_here(assistant) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    """A program with every right, for everybody's documents in these tests."""
    key = served.key("ask", "documents", "admin", "delegate", groups=["finance", "人事部"])
    with Client(served.url, key) as opened:
        yield opened


@pytest.fixture
def filled(client: Client, served: Served, papers: Path) -> Client:
    served.service.assistant.ingest(papers)
    return client
