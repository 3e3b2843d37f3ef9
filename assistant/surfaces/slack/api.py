"""The only way to Slack's Web API: paced, patient where it must be, never sending twice blindly."""

from __future__ import annotations

import logging
import time
from http.client import HTTPException
from typing import Any
from urllib.error import URLError

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient

from assistant.surfaces.slack.pace import Pace

logger = logging.getLogger(__name__)

PATIENCE_S = 120.0
_TIMEOUT_S = 20
_PAUSE_S = 1.0
_TRIES = 4
# Sent again after a lost connection, these would show twice.
_ONCE = frozenset({"chat.postMessage", "chat.startStream", "chat.appendStream"})
_SERVER_TROUBLE = frozenset({"internal_error", "fatal_error", "service_unavailable"})
_PASSING = _SERVER_TROUBLE | {"unreachable"}
# Errors that say that a workspace or a channel has no streams, not that a call was wrong.
NO_STREAMS = frozenset(
    {
        "unknown_method",
        "method_not_supported_for_channel_type",
        "channel_type_not_supported",
        "feature_not_enabled",
        "not_allowed",
        "streaming_not_allowed",
        "missing_scope",
        "missing_recipient_team_id",
        "missing_recipient_user_id",
    }
)


class SlackError(Exception):
    """A call failed for good.

    ``code`` is Slack's word for it, ``unreachable``, or ``unsure`` when the message may be
    there all the same.
    """

    def __init__(self, method: str, code: str) -> None:
        super().__init__(f"{method}: {code}")
        self.code = code


def web_client(token: str, api_url: str) -> WebClient:
    """Return a client that leaves all patience to `SlackApi`."""
    return WebClient(
        token=token, base_url=api_url.rstrip("/") + "/", timeout=_TIMEOUT_S, retry_handlers=[]
    )


class SlackApi:
    """Calls Slack's Web API at its pace; safe to share between threads."""

    def __init__(self, client: WebClient, pace: Pace) -> None:
        self._client = client
        self.pace = pace

    def call(
        self,
        method: str,
        *,
        patience_s: float = PATIENCE_S,
        promised: bool = False,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Call a method, waiting for its turn and through refusals for a bounded time.

        Args:
            method: Slack's name for it.
            patience_s: the longest wait; 0 tries once, at once, or not at all.
            promised: `Pace.promise` kept room for this call.
            arguments: the method's own.

        Raises:
            SlackError: it failed, or its turn did not come in time.
        """
        channel = str(arguments.get("channel") or arguments.get("channel_id") or "")
        deadline = time.monotonic() + patience_s
        trouble = 0
        while True:
            if not self.pace.wait(method, channel, deadline, promised=promised):
                if promised:
                    self.pace.release(method)
                raise SlackError(method, "ratelimited")
            promised = False
            try:
                return self._send(method, arguments)
            except SlackApiError as error:
                code = self._refused(method, channel, error)
            except (OSError, HTTPException) as error:
                code = "unreachable" if _never_left(error) or method not in _ONCE else "unsure"
            if code == "ratelimited":
                continue
            trouble += 1
            pause = _PAUSE_S * trouble
            if code not in _PASSING or trouble == _TRIES or time.monotonic() + pause > deadline:
                raise SlackError(method, code)
            time.sleep(pause)

    def try_call(self, method: str, *, patience_s: float = 0.0, **arguments: Any) -> bool:
        """Call a method whose failure does no harm; tell whether it went through."""
        try:
            self.call(method, patience_s=patience_s, **arguments)
        except SlackError as error:
            logger.debug("%s", error)
            return False
        return True

    def respond(self, response_url: str, **message: Any) -> bool:
        """Answer an interaction by its own address; False when that has expired."""
        client = WebhookClient(response_url, timeout=_TIMEOUT_S, retry_handlers=[])
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                response = client.send_dict(message)
            except (OSError, HTTPException) as error:
                if not _never_left(error):
                    raise SlackError("response_url", "unsure") from None
                return False
            if response.status_code != 429:
                return response.status_code == 200
            pause = _retry_after(dict(response.headers))
            if time.monotonic() + pause > deadline:
                return False
            time.sleep(pause)

    def _send(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        response = getattr(self._client, method.replace(".", "_"))(**arguments)
        data = response.data
        return data if isinstance(data, dict) else {}

    def _refused(self, method: str, channel: str, error: SlackApiError) -> str:
        response = error.response
        status = getattr(response, "status_code", 200)
        if status == 429:
            self.pace.block(method, channel, _retry_after(dict(response.headers)))
            return "ratelimited"
        code = "service_unavailable" if status >= 500 else str(response.get("error", "unknown"))
        return "unsure" if code in _SERVER_TROUBLE and method in _ONCE else code


def _retry_after(headers: dict[str, Any]) -> float:
    """Return the seconds that a refusal asks to wait, and a little more."""
    for name, value in headers.items():
        if name.lower() == "retry-after":
            text = str(value[0] if isinstance(value, list) else value)
            return (float(text) if text.replace(".", "", 1).isdigit() else 1.0) + 0.1
    return 1.0


def _never_left(error: BaseException) -> bool:
    """Tell whether a request surely did not reach Slack."""
    reason = error.reason if isinstance(error, URLError) else error
    return isinstance(reason, ConnectionRefusedError) or "Name or service" in str(reason)
