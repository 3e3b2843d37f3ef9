"""The public door. Import from here and from nowhere below; heavy libraries load on first use.

>>> from assistant import Assistant, Settings
>>> assistant = Assistant(Settings(data_dir="/tmp/papers"))    # doctest: +SKIP
>>> assistant.ingest("knowledge")                              # doctest: +SKIP
>>> print(assistant.ask("大模型训练需要多少数据？").text)        # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assistant import errors
    from assistant.core import Assistant
    from assistant.errors import AssistantError
    from assistant.settings import Settings
    from assistant.surfaces.client import Client
    from assistant.types import (
        EVERYONE,
        Answer,
        AnswerEvent,
        Chunk,
        Citation,
        Cited,
        Context,
        Conversation,
        Document,
        Health,
        Hit,
        IngestReport,
        Message,
        Principal,
        Reviewable,
        UsageReport,
    )

__version__ = "0.1.0"

_HOMES = {
    "EVERYONE": "assistant.types",
    "Answer": "assistant.types",
    "AnswerEvent": "assistant.types",
    "Assistant": "assistant.core",
    "AssistantError": "assistant.errors",
    "Chunk": "assistant.types",
    "Citation": "assistant.types",
    "Cited": "assistant.types",
    "Client": "assistant.surfaces.client",
    "Context": "assistant.types",
    "Conversation": "assistant.types",
    "Document": "assistant.types",
    "Health": "assistant.types",
    "Hit": "assistant.types",
    "IngestReport": "assistant.types",
    "Message": "assistant.types",
    "Principal": "assistant.types",
    "Reviewable": "assistant.types",
    "Settings": "assistant.settings",
    "UsageReport": "assistant.types",
}

__all__ = [
    "EVERYONE",
    "Answer",
    "AnswerEvent",
    "Assistant",
    "AssistantError",
    "Chunk",
    "Citation",
    "Cited",
    "Client",
    "Context",
    "Conversation",
    "Document",
    "Health",
    "Hit",
    "IngestReport",
    "Message",
    "Principal",
    "Reviewable",
    "Settings",
    "UsageReport",
    "errors",
]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("assistant.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'assistant' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
