"""Every error the assistant raises on purpose, and what to do about each.

AssistantError
├── ConfigurationError        a setting has no usable value
├── SourceError               a document cannot be taken in (its reason says why)
├── StoreError                the index cannot be used as it is
│   ├── StoreLockedError      another process owns the data directory
│   ├── FingerprintError      the index was made with another model or chunker
│   └── StorageFullError      the disk took no more
├── ModelError                a model is missing or does not load
├── EngineError               an engine failed while answering
│   ├── EngineBusyError       too many questions are waiting
│   └── RequestRefusedError   an engine that works will not take this very question
├── QuestionError             the question cannot be answered as it was put
├── NotFoundError             no such document or conversation, or not yours to see
├── ConflictError             it is there already, or changed meanwhile
├── AccessError               who asks may not
│   ├── UnauthenticatedError  nobody is signed in
│   ├── ForbiddenError        the one who asks lacks the right
│   └── RateLimitedError      too many questions in a short time
└── ServerError               the assistant's server cannot be reached, or failed

Each message names the remedy. Surfaces turn them into an exit code, a problem
document or a notice; no other exception is expected to reach a user.
"""

__all__ = [
    "AccessError",
    "AssistantError",
    "ConfigurationError",
    "ConflictError",
    "EngineBusyError",
    "EngineError",
    "FingerprintError",
    "ForbiddenError",
    "ModelError",
    "NotFoundError",
    "QuestionError",
    "RateLimitedError",
    "RequestRefusedError",
    "ServerError",
    "SourceError",
    "StorageFullError",
    "StoreError",
    "StoreLockedError",
    "UnauthenticatedError",
]


class AssistantError(Exception):
    """Base of all errors raised on purpose; its text is fit for a user's eyes."""


class ConfigurationError(AssistantError):
    """A setting is missing, unknown or out of range."""


class SourceError(AssistantError):
    """A file cannot become a document; the text is the reason shown in the report."""


class StoreError(AssistantError):
    """The data directory cannot be used as it is."""


class StoreLockedError(StoreError):
    """Another process owns the data directory."""


class FingerprintError(StoreError):
    """The index was made with another embedding model or chunker."""


class StorageFullError(StoreError):
    """The disk is full; what was visible before the write still is."""


class ModelError(AssistantError):
    """A model is missing, damaged or does not load."""


class EngineError(AssistantError):
    """An engine failed while it was answering."""


class EngineBusyError(EngineError):
    """The queue is full; ``position`` is the place the question would have had."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


class RequestRefusedError(EngineError):
    """The engine works, but not for this question: its prompt is too long, say."""


class QuestionError(AssistantError):
    """The question is empty, too long or unreadable."""


class NotFoundError(AssistantError):
    """No such document or conversation, or it belongs to somebody else."""


class ConflictError(AssistantError):
    """What should be made is there already, or was changed by somebody else meanwhile."""


class AccessError(AssistantError):
    """Who asks may not do this."""


class UnauthenticatedError(AccessError):
    """Nobody is signed in, or the sign-in, key or link is not valid (any more)."""


class ForbiddenError(AccessError):
    """The one who is signed in lacks the right."""


class RateLimitedError(AccessError):
    """Too many requests in a short time; ``retry_after`` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ServerError(AssistantError):
    """The assistant's server cannot be reached, or failed without saying why."""
