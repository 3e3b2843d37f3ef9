"""Commands, shortcuts, clicks and submitted forms: https://docs.slack.dev/interactivity."""

from __future__ import annotations

from typing import Any

from .hooks import respond
from .methods.views import checked, public, show
from .people import People, Sent
from .platform import Envelope
from .rules import Refusal
from .workspace import APP, DOMAIN, TEAM, Message

PRESSED = ("text", "value", "style", "url")
CHOICES = {"static_select", "overflow", "radio_buttons", "external_select"}


class Interactions(People):
    """What people do with the app's own things."""

    def command(
        self, user: str, channel: str, command: str, text: str = "", *, thread: bool = False
    ) -> Sent:
        """Type a slash command; Slack has none in threads."""
        slack = self.platform
        with slack.lock:
            place = slack.workspace.channels[channel]
            name = {"im": "directmessage", "group": "privategroup"}.get(place.kind, place.name)
            payload = {
                "token": "verification",
                "team_id": TEAM,
                "team_domain": DOMAIN,
                "channel_id": channel,
                "channel_name": name,
                "user_id": user,
                "user_name": slack.workspace.users[user].name,
                "command": command,
                "text": text,
                "api_app_id": APP,
                "is_enterprise_install": "false",
                "response_url": slack.hook(user, channel),
                "trigger_id": slack.new_trigger(user),
            }

            def answered(body: dict[str, Any] | None) -> None:
                if body and (body.get("text") or body.get("blocks")):
                    self._answer(user, channel, body, f"{command}'s acknowledgement")

            def failed(reason: str) -> None:
                text = f"{command} failed with the error “{reason}”"
                slack.workspace.post(channel, "USLACKBOT", text=text, ephemeral_to=user)

            return self._out("slash_commands", payload, answered, failed, accepts=True)

    def shortcut(
        self, user: str, callback_id: str, channel: str | None = None, ts: str | None = None
    ) -> Sent:
        """Use a global shortcut, or one on a message when `channel` and `ts` say which."""
        slack = self.platform
        with slack.lock:
            payload = self._interaction("shortcut", user) | {"callback_id": callback_id}
            payload["action_ts"] = slack.workspace.new_ts()
            if channel and ts:
                message = self.message(channel, ts)
                payload |= {"type": "message_action", "message_ts": ts}
                payload |= {"channel": self._place(channel), "message": message.as_api()}
                payload["response_url"] = slack.hook(user, channel, message)
            return self._out("interactive", payload, failed=self._failure(user, channel))

    def click(self, user: str, ts: str, action_id: str, value: str | None = None) -> Sent:
        """Press a button (or choose an option) in a message, a view or a Home tab.

        Raises:
            AssertionError: There is no such button, or this user cannot see it.
        """
        slack = self.platform
        with slack.lock:
            view = slack.workspace.views.get(ts) or slack.workspace.homes.get(ts)
            message = None if view else self._seen(user, ts)
            blocks = view["blocks"] if view else message.blocks if message else []
            action = self._action(blocks, action_id, value)
            payload = self._interaction("block_actions", user)
            payload |= {"actions": [action | {"action_ts": slack.workspace.new_ts()}]}
            payload["state"] = {"values": {}}
            if view:
                container = {"type": "view", "view_id": view["id"]}
                payload |= {"container": container, "view": public(view)}
            elif message:
                payload |= self._from_message(user, message)
            channel = message.channel if message else None
            return self._out("interactive", payload, failed=self._failure(user, channel))

    def submit_view(
        self, user: str, values: dict[str, Any] | None = None, view_id: str | None = None
    ) -> Sent:
        """Fill the inputs, by action_id, of the topmost modal (or of `view_id`) and send it."""
        slack = self.platform
        with slack.lock:
            view = self.view(user, view_id)
            view["state"] = {"values": _state(view["blocks"], values or {})}
            payload = self._interaction("view_submission", user) | {"response_urls": []}
            payload["view"] = public(view)

            def answered(body: dict[str, Any] | None) -> None:
                self._submitted(user, view, body or {})

            return self._out("interactive", payload, answered, accepts=True)

    def close_view(self, user: str) -> Sent | None:
        """Close the topmost modal; the app hears of it when it asked to."""
        with self.platform.lock:
            view = self.view(user)
            del self.platform.workspace.views[view["id"]]
            if not view["notify_on_close"]:
                return None
            payload = self._interaction("view_closed", user) | {"is_cleared": False}
            return self._out("interactive", payload | {"view": public(view)})

    def view(self, user: str, view_id: str | None = None) -> dict[str, Any]:
        """Return the modal that somebody sees on top.

        Raises:
            AssertionError: They see none.
        """
        views = self.platform.workspace.views.values()
        mine = [v for v in views if v["_user"] == user and view_id in (None, v["id"])]
        if not mine:
            raise AssertionError(f"{user} has no open view")
        return mine[-1]

    def _submitted(self, user: str, view: dict[str, Any], body: dict[str, Any]) -> None:
        slack, views = self.platform, self.platform.workspace.views
        action = body.get("response_action")
        view["_errors"] = body.get("errors", {}) if action == "errors" else {}
        try:
            if action in ("update", "push"):
                shown = show(slack, checked(slack, body.get("view"), "response_action"), user)
                if action == "update":
                    views.pop(view["id"], None)
                    shown["root_view_id"] = view["root_view_id"]
            elif action == "clear":
                for mine in [v for v in views.values() if v["_user"] == user]:
                    del views[mine["id"]]
            elif action is None:
                views.pop(view["id"], None)
            elif action != "errors":
                slack.ledger.record("view", f"unknown response_action {action}")
        except Refusal:
            view["_errors"] = {"": "the app's answer was not valid"}  # the ledger says which

    def _answer(self, user: str, channel: str, body: dict[str, Any], where: str) -> None:
        try:
            respond(self.platform, user, channel, body, where)
        except Refusal as refusal:
            text = f"failed with the error “{refusal.error}”"
            self.platform.workspace.post(channel, "USLACKBOT", text=text, ephemeral_to=user)

    def _out(self, kind: str, payload: dict[str, Any], answered: Any = None, failed: Any = None,
             *, accepts: bool = False) -> Sent:  # fmt: skip
        identifier = self.platform.workspace.new_id("envelope-")
        envelope = Envelope(kind, payload, identifier, accepts, answered, failed)
        self.platform.send(envelope)
        return Sent(identifier)

    def _failure(self, user: str, channel: str | None) -> Any:
        def failed(reason: str) -> None:
            if channel:
                text = f"This app responded with an error ({reason})."
                fields = {"text": text, "ephemeral_to": user}
                self.platform.workspace.post(channel, "USLACKBOT", **fields)

        return failed

    def _interaction(self, kind: str, user: str) -> dict[str, Any]:
        person = self.platform.workspace.users[user]
        who = {"id": user, "username": person.name, "name": person.name, "team_id": TEAM}
        return {
            "type": kind,
            "user": who,
            "api_app_id": APP,
            "token": "verification",
            "team": {"id": TEAM, "domain": DOMAIN},
            "enterprise": None,
            "is_enterprise_install": False,
            "trigger_id": self.platform.new_trigger(user),
        }

    def _place(self, channel: str) -> dict[str, str]:
        return {"id": channel, "name": self.platform.workspace.channels[channel].name}

    def _seen(self, user: str, ts: str) -> Message:
        for posts in self.platform.workspace.posts.values():
            for message in posts:
                if message.ts == ts and not message.deleted:
                    if message.ephemeral_to not in (None, user):
                        raise AssertionError(f"{user} cannot see {ts}")
                    return message
        raise AssertionError(f"no message {ts}")

    def _from_message(self, user: str, message: Message) -> dict[str, Any]:
        ephemeral = message.ephemeral_to is not None
        container: dict[str, Any] = {"type": "message", "message_ts": message.ts}
        container |= {"channel_id": message.channel, "is_ephemeral": ephemeral}
        if message.thread_ts:
            container["thread_ts"] = message.thread_ts
        body: dict[str, Any] = {"container": container}
        body["channel"] = self._place(message.channel)
        body["response_url"] = self.platform.hook(user, message.channel, message)
        # Slack leaves the message out when it was ephemeral: it keeps no copy.
        return body if ephemeral else body | {"message": message.as_api()}

    def _action(
        self, blocks: list[dict[str, Any]], action_id: str, value: str | None
    ) -> dict[str, Any]:
        for block in blocks:
            accessory = [block["accessory"]] if "accessory" in block else []
            for element in [*block.get("elements", []), *accessory]:
                if isinstance(element, dict) and element.get("action_id") == action_id:
                    action = _pressed(element, value)
                    if action:
                        return action | {"block_id": block["block_id"]}
        raise AssertionError(f"no button {action_id!r} with value {value!r} in {blocks}")


def _pressed(element: dict[str, Any], value: str | None) -> dict[str, Any] | None:
    """Return the action of an element, or None when it has no such value."""
    action: dict[str, Any] = {"type": element["type"], "action_id": element["action_id"]}
    if element["type"] == "feedback_buttons":
        for name in ("positive_button", "negative_button"):
            if element[name]["value"] == value:
                return action | {"value": value, "text": element[name]["text"]}
        return None
    if element["type"] in CHOICES:
        options = [o for o in element.get("options", []) if o["value"] == value]
        return action | {"selected_option": options[0]} if options else None
    if value is not None and element.get("value") != value:
        return None
    return action | {key: element[key] for key in PRESSED if key in element}


def _state(blocks: list[dict[str, Any]], values: dict[str, Any]) -> dict[str, Any]:
    """Return view.state.values for the inputs of a view."""
    state: dict[str, Any] = {}
    for block in blocks:
        element = block.get("element") if block["type"] == "input" else None
        if not element:
            continue
        name, kind = element.get("action_id", "input"), element["type"]
        given = values.get(name, element.get("initial_value"))
        if kind in CHOICES:
            options = [o for o in element.get("options", []) if o["value"] == given]
            filled = {"type": kind, "selected_option": options[0] if options else None}
        elif isinstance(given, dict):
            filled = {"type": kind, **given}
        else:
            filled = {"type": kind, "value": given}
        state[block["block_id"]] = {name: filled}
    return state
