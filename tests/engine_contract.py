"""What every engine must do, as test classes to inherit from.

    class TestMine(EngineContract):
        @pytest.fixture
        def engine(self): ...
        def ask(self, word): ...   # messages whose answer contains the word

`WritingContract` adds what an engine must do that writes an answer token by token.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage

from assistant.engines.base import Engine, engine_name

WORDS = ("anvil", "bridge", "copper", "dragon", "engine", "falcon", "garden", "harbor")


class EngineContract:
    """Any engine, whether it writes, quotes or is scripted."""

    @abstractmethod
    def ask(self, word: str) -> list[BaseMessage]:
        """Return messages whose answer contains the word."""

    def test_it_is_a_langchain_model_with_a_name(self, engine: Engine) -> None:
        assert isinstance(engine, BaseChatModel)
        assert engine_name(engine) == engine.name != ""

    def test_it_knows_its_prompt_form_and_window(self, engine: Engine) -> None:
        assert engine.form in ("chat", "completion")
        assert engine.context_tokens >= 512

    def test_it_counts_tokens(self, engine: Engine) -> None:
        assert engine.count_tokens("") == 0
        few, many = engine.count_tokens("训练数据"), engine.count_tokens("训练数据 data 🙂" * 20)
        assert 0 < few < many
        assert engine.get_num_tokens("训练数据") == few

    def test_it_answers(self, engine: Engine) -> None:
        assert WORDS[0] in engine.invoke(self.ask(WORDS[0])).text

    def test_a_stream_adds_up_to_the_answer(self, engine: Engine) -> None:
        pieces = [chunk.text for chunk in engine.stream(self.ask(WORDS[1]))]
        assert WORDS[1] in "".join(pieces)
        assert "".join(pieces) == engine.invoke(self.ask(WORDS[1])).text

    def test_eight_askers_at_once_each_get_their_own_answer(self, engine: Engine) -> None:
        together = threading.Barrier(len(WORDS))

        def answer(word: str) -> str:
            together.wait(timeout=30)
            return "".join(chunk.text for chunk in engine.stream(self.ask(word)))

        with ThreadPoolExecutor(len(WORDS)) as pool:
            answers = list(pool.map(answer, WORDS))
        for word, text in zip(WORDS, answers, strict=True):
            assert [w for w in WORDS if w in text] == [word]

    def test_it_answers_after_an_asker_went_away(self, engine: Engine) -> None:
        abandoned = engine.stream(self.ask(WORDS[2]))
        next(abandoned)
        abandoned.close()
        assert WORDS[3] in engine.invoke(self.ask(WORDS[3])).text

    def test_loading_twice_is_loading_once(self, engine: Engine) -> None:
        engine.load()
        engine.load()


class WritingContract(EngineContract):
    """An engine that writes token by token; it takes ``max_tokens`` beside ``stop``."""

    @abstractmethod
    def ask_for_unicode(self) -> list[BaseMessage]:
        """Return messages whose answer holds Chinese characters and emoji."""

    def endless(self) -> list[BaseMessage]:
        """Return messages whose answer does not end by itself."""
        return [HumanMessage("1, 2, 3, 4, 5, 6, 7, 8, 9,")]

    def test_it_stops_before_a_stop_string(self, engine: Engine) -> None:
        whole = engine.invoke(self.endless(), max_tokens=24).text
        # Cut across tokens and pieces, where a half-seen stop string could leak.
        stop = whole[len(whole) // 2 : len(whole) // 2 + 5]
        stopped = engine.invoke(self.endless(), stop=["never written", stop], max_tokens=24)
        assert stopped.text == whole[: whole.index(stop)]
        assert stopped.response_metadata["finish_reason"] == "stop"
        streamed = engine.stream(self.endless(), stop=[stop], max_tokens=24)
        assert "".join(chunk.text for chunk in streamed) == stopped.text

    def test_it_says_when_the_length_ended_it(self, engine: Engine) -> None:
        answer = engine.invoke(self.endless(), max_tokens=4)
        assert answer.response_metadata["finish_reason"] == "length"
        assert answer.usage_metadata is not None
        assert answer.usage_metadata["output_tokens"] == 4

    def test_the_last_chunk_carries_the_usage(self, engine: Engine) -> None:
        chunks = list(engine.stream(self.ask(WORDS[4])))
        told = [c.usage_metadata for c in chunks if isinstance(c, AIMessageChunk)]
        assert [i for i, usage in enumerate(told) if usage] == [len(chunks) - 1]
        usage = told[-1]
        assert usage is not None
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        prompt = "".join(str(message.content) for message in self.ask(WORDS[4]))
        assert usage["input_tokens"] >= engine.count_tokens(prompt)
        answer = engine.invoke(self.ask(WORDS[4]))
        assert answer.usage_metadata is not None
        assert answer.usage_metadata["output_tokens"] == usage["output_tokens"]

    def test_a_piece_never_splits_a_character(self, engine: Engine) -> None:
        pieces = [chunk.text for chunk in engine.stream(self.ask_for_unicode(), max_tokens=40)]
        text = "".join(pieces)
        assert any(character > "\U0001f300" for character in text)
        assert any("\u4e00" <= character <= "\u9fff" for character in text)
        assert "\ufffd" not in text
        for piece in pieces:
            piece.encode("utf-8")  # fails on half of a surrogate pair

    def test_the_pieces_come_one_by_one(self, engine: Engine) -> None:
        pieces = list(islice((c.text for c in engine.stream(self.endless())), 5))
        assert len(pieces) == 5
        assert max(map(len, pieces)) < 20
