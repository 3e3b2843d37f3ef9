"""The Slack bot: Slack's events in, the `Assistant`'s answers out; its state in `slack.sqlite`.

How a question travels: `listen` writes it down and acknowledges · `answering` asks the
assistant in a thread's own lane · `reply` shows the answer as Slack allows it · `recover`
takes up what a crash left. `api` is the only way to Slack, at Slack's own pace.
"""
