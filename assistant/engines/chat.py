"""Messages to one prompt by a model's own chat template; it loads nothing and generates nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

PlainMessage = Mapping[str, str]


class ChatTemplate:
    """A chat template that keeps what stands in a message from ending it.

    Args:
        render: the template: ``messages`` to an object whose ``prompt`` is the text.
        control: the tokens that steer the model, as texts.
    """

    def __init__(self, render: Callable[..., Any], control: Iterable[str]) -> None:
        self._render = render
        longest_first = sorted({t for t in control if len(t) > 1}, key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def prompt(self, messages: Sequence[PlainMessage]) -> str:
        """Return the messages as the model was trained to read them, ready for its answer.

        Args:
            messages: each a ``role`` and a ``content``.

        Raises:
            ValueError: the template refuses this order of roles.
        """
        plain = [{"role": m["role"], "content": self._defused(m["content"])} for m in messages]
        try:
            return self._rendered(plain)
        except ValueError:  # how a template refuses; Gemma 2 and others do so with `system`
            if len(plain) < 2 or plain[0]["role"] != "system":
                raise
        system, first, *others = plain
        merged = {**first, "content": f"{system['content']}\n\n{first['content']}"}
        return self._rendered([merged, *others])

    def _rendered(self, plain: list[dict[str, str]]) -> str:
        # Models that can think aloud are asked not to; other templates ignore the word.
        return str(self._render(messages=plain, enable_thinking=False).prompt)

    def _defused(self, text: str) -> str:
        """Break up control tokens, by which a document could pose as the system."""
        return self._control.sub(lambda found: f"{found[0][0]}\u200b{found[0][1:]}", text)
