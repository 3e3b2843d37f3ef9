"""Tokens, and the YAML file that says who Slack's users are and how channels are answered.

    users:                                  # by e-mail address or by Slack's user id
      zhang.wei@example.com: {user: zhang.wei, groups: [finance]}
      U02AB3CD4: {user: li.na}
    channels:                               # by Slack's channel id; "*" is every other one
      "*": {allowed: true}
      C0123ABCD: {language: zh, only_cited: true, persona: 财务问答，由财务部维护}

Unknown keys are errors: a misspelt `allowed` must not open a channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from assistant.errors import ConfigurationError
from assistant.settings import Settings

ANY_CHANNEL = "*"
_WHERE = "the app's page at https://api.slack.com/apps"
_FOUND_AT = {
    "slack_bot_token": f"OAuth & Permissions on {_WHERE} shows it (xoxb-…)",
    "slack_app_token": f"Basic Information > App-Level Tokens on {_WHERE} makes one (xapp-…, "
    "scope connections:write)",
    "slack_signing_secret": f"Basic Information on {_WHERE} shows it",
}
_PREFIXES = {"slack_bot_token": "xoxb-", "slack_app_token": "xapp-"}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MappedUser(_Strict):
    """Who a Slack user is to the assistant."""

    user: Annotated[str, Field(min_length=1)]
    groups: tuple[str, ...] = ()


class Channel(_Strict):
    """How the bot behaves in a channel.

    ``only_cited``: an answer without a source is not posted. ``persona`` is a line under
    each answer. ``follow_ups``: messages in threads it is in need no mention.
    """

    allowed: bool = True
    language: Literal["auto", "zh", "en"] = "auto"
    only_cited: bool = False
    persona: Annotated[str, Field(max_length=200)] = ""
    follow_ups: bool = True


class Workspace(_Strict):
    """The YAML file."""

    users: dict[str, MappedUser] = {}
    channels: dict[str, Channel] = {}

    def user(self, slack_id: str, email: str) -> MappedUser | None:
        """Return the entry for a Slack id or else for an e-mail address."""
        by_name = {name.casefold(): entry for name, entry in self.users.items()}
        return by_name.get(slack_id.casefold()) or (
            by_name.get(email.casefold()) if email else None
        )

    def channel(self, channel_id: str) -> Channel:
        """Return how a channel is answered."""
        return self.channels.get(channel_id) or self.channels.get(ANY_CHANNEL) or Channel()


@dataclass(frozen=True)
class Tokens:
    """What Slack knows the app by; hidden in every representation."""

    bot: SecretStr
    app: SecretStr
    signing_secret: SecretStr


def load_workspace(settings: Settings) -> Workspace:
    """Return what the settings' YAML file says; without a file, the defaults.

    Raises:
        ConfigurationError: it cannot be read, or says something unknown.
    """
    if settings.slack_config is None:
        return Workspace()
    import yaml

    try:
        said = yaml.safe_load(settings.slack_config.read_text("utf-8"))
        return Workspace.model_validate(said or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"{settings.slack_config} cannot be read ({error}). Correct `slack_config`."
        ) from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ConfigurationError(f"{settings.slack_config}: {problems}.") from None


def load_tokens(settings: Settings) -> Tokens:
    """Return the tokens that the mode needs, from the settings or from the files they name.

    Raises:
        ConfigurationError: one is missing, of the wrong kind, or in a file that cannot be read.
    """
    socket = settings.slack_mode == "socket"
    return Tokens(
        bot=_secret(settings, "slack_bot_token"),
        app=_secret(settings, "slack_app_token") if socket else SecretStr(""),
        signing_secret=SecretStr("") if socket else _secret(settings, "slack_signing_secret"),
    )


def _secret(settings: Settings, name: str) -> SecretStr:
    value: SecretStr = getattr(settings, name)
    file: Path | None = getattr(settings, f"{name}_file")
    if not value.get_secret_value() and file is not None:
        try:
            value = SecretStr(file.read_text("utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"`{name}_file` cannot be read ({error}). Correct its path or its rights."
            ) from error
    found = value.get_secret_value()
    if not found:
        raise ConfigurationError(
            f"`{name}` is not set. {_FOUND_AT[name]}; put it into ASSISTANT_{name.upper()} or "
            f"into a file named by ASSISTANT_{name.upper()}_FILE."
        )
    if not found.startswith(_PREFIXES.get(name, "")):
        raise ConfigurationError(
            f"`{name}` does not begin with {_PREFIXES[name]}. {_FOUND_AT[name]}."
        )
    return value
