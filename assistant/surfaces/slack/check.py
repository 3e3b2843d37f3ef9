"""Whether the bot could start: what `assistant doctor` says of Slack."""

from __future__ import annotations

from importlib import resources
from typing import Any

from assistant.errors import ConfigurationError
from assistant.settings import Settings
from assistant.surfaces.slack.config import load_tokens, load_workspace

_PATIENCE_S = 10


def is_wanted(settings: Settings) -> bool:
    """Tell whether anything about Slack is set."""
    return any(
        (
            settings.slack_bot_token.get_secret_value(),
            settings.slack_bot_token_file,
            settings.slack_app_token.get_secret_value(),
            settings.slack_app_token_file,
            settings.slack_config,
        )
    )


def check(settings: Settings) -> str:
    """Try the tokens and read the YAML file; return what was found.

    Raises:
        ConfigurationError: what is wrong, and what to do about it.
    """
    tokens, workspace = load_tokens(settings), load_workspace(settings)
    from slack_sdk import WebClient
    from slack_sdk.errors import SlackApiError

    client = WebClient(
        token=tokens.bot.get_secret_value(),
        base_url=settings.slack_api_url.rstrip("/") + "/",
        timeout=_PATIENCE_S,
    )
    name = "slack_bot_token"
    try:
        me = client.auth_test()
        name = "slack_app_token"
        if settings.slack_mode == "socket":
            client.apps_connections_open(app_token=tokens.app.get_secret_value())
    except SlackApiError as error:
        raise ConfigurationError(
            f"Slack does not accept `{name}` ({error.response['error']}). Copy it again."
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"{settings.slack_api_url} cannot be reached ({error}). Check the network or the proxy."
        ) from error
    if missing := _missing_scopes(dict(me.headers)):
        raise ConfigurationError(
            f"The app lacks the scopes {', '.join(missing)}. Add them under OAuth & Permissions, "
            "and reinstall the app."
        )
    return (
        f"{me['user']} in {me['team']}, {settings.slack_mode} mode, "
        f"{len(workspace.users)} users mapped"
    )


def _missing_scopes(headers: dict[str, Any]) -> list[str]:
    """Return the manifest's scopes that the token lacks; Slack tells in a header what it has."""
    import yaml

    told = {name.lower(): value for name, value in headers.items()}.get("x-oauth-scopes")
    if not told:
        return []
    granted = {scope.strip() for scope in str(told).split(",")}
    manifest = yaml.safe_load((resources.files(__package__) / "manifest.yaml").read_text("utf-8"))
    return sorted(set(manifest["oauth_config"]["scopes"]["bot"]) - granted)
