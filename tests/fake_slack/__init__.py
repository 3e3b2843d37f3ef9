"""A fake Slack that speaks the real protocols, and writes down every documented limit one breaks.

The Web API, Socket Mode, HTTP mode and response_url as https://docs.slack.dev describes them, on
loopback, for the real slack_sdk and slack_bolt. What no page documents is not made up: unknown
numbers (the workspace's own posting limit, the length of bursts) are said where they are chosen.

    with FakeSlack() as slack:
        slack.add_user("U1", email="li@example.com")
        slack.add_channel("C1", members=["U1"])
        …  # an app with base_url=slack.api_url, slack.bot_token, slack.app_token
        sent = slack.say("U1", "C1", "how much leave have I?")
        slack.wait_for(lambda: [m for m in slack.messages("C1") if m.thread_ts == sent.ts])
        assert not slack.violations

    rules       what is documented, and the book of violations
    workspace   people, channels, messages        people, interactions   what they do
    platform    what all parts share              delivery               envelopes, acks, retries
    web_api     calls in, answers out             socket_mode, http_mode the two roads to the app
    methods/    each method                       hooks                  response_url
    blockkit, elements   what a block may be      rates                  how often one may call
    transcript, mrkdwn   what people see, as HTML
"""

from .rules import RULES, Violation
from .server import EVENTS, FakeSlack
from .workspace import BOT_USER, TEAM, Message

__all__ = ["BOT_USER", "EVENTS", "RULES", "TEAM", "FakeSlack", "Message", "Violation"]
