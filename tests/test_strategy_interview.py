from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.errors import NotFoundError, QuestionError
from assistant.strategy.evidence import Proposal, Reading
from assistant.strategy.interview import Interview
from assistant.strategy.profile import form
from assistant.strategy.store import StrategyStore
from assistant.strategy.types import Source, Words, same
from assistant.types import Language, Principal

ANNA, BEN = Principal("anna"), Principal("ben")
FIELDS = len(form().fields)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StrategyStore]:
    opened = StrategyStore(tmp_path)
    yield opened
    opened.close()


def begun(store: StrategyStore, language: Language = "zh", *, read: bool = False) -> Interview:
    strategy = store.begin(ANNA, "澄川", language)
    if read:
        source = Source("company", same("手册"), quote=same("公司在册员工418人。"), reference="c1")
        other = Source("company", same("旧册"), quote=same("公司在册员工402人。"), reference="c2")
        proposal = Proposal("employees", Reading(418.0, (source,)), (Reading(402.0, (other,)),))
        made = Source("company", same("手册"), quote=same("主要生产阀门。"), reference="c3")
        store.propose(
            strategy.id,
            {
                "employees": proposal,
                "industry": Proposal("industry", Reading("manufacturing", (made,))),
            },
            ANNA,
        )
    return Interview(store, strategy.id, ANNA)


def test_it_asks_field_after_field_until_all_are_settled(store: StrategyStore) -> None:
    interview = begun(store)
    turn = interview.begin()
    assert "澄川" in turn.text and str(FIELDS) in turn.text
    asked = []
    while not turn.done:
        asked.append(turn.asking)
        assert form().field(turn.asking).question.zh in turn.text
        assert turn.answered == len(asked) - 1
        turn = interview.say("不知道")
    assert asked == [field.key for field in form().fields]
    assert turn.answered == turn.total == FIELDS
    assert "可以生成" in turn.text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_proposals_are_quoted_and_taken_over_once_confirmed(
    store: StrategyStore, language: Language
) -> None:
    interview = begun(store, language, read=True)
    first = interview.begin()
    assert "主要生产阀门。" in first.text
    second = interview.say("对" if language == "zh" else "yes")
    assert second.asking == "employees"
    assert "418" in second.text and "402" in second.text and "旧册" in second.text
    profile = store.profile(store.get(second.strategy_id, ANNA))
    assert profile.one("industry") == "manufacturing"
    assert profile.source("industry").quote.zh == "主要生产阀门。"
    assert not profile.known("employees")


def test_a_rejected_proposal_is_asked_again_without_it(store: StrategyStore) -> None:
    interview = begun(store, read=True)
    turn = interview.say("不对")
    assert turn.asking == "industry" and "主要生产阀门" not in turn.text
    turn = interview.say("银行")
    assert turn.asking == "employees"
    profile = store.profile(store.get(turn.strategy_id, ANNA))
    assert profile.one("industry") == "banking" and profile.source("industry").kind == "answer"


def test_a_right_answer_goes_before_a_proposal(store: StrategyStore) -> None:
    interview = begun(store, read=True)
    interview.say("对")
    interview.say("400")
    [strategy] = store.of(ANNA)
    assert store.profile(strategy).number("employees") == 400.0


def test_all_proposals_can_be_taken_over_at_once(store: StrategyStore) -> None:
    interview = begun(store, read=True)
    assert "2" in interview.say("全部确认").text
    assert "没有" in interview.say("全部确认").text
    [strategy] = store.of(ANNA)
    assert store.profile(strategy).number("employees") == 418.0


def test_it_explains_why_tells_how_far_it_is_and_takes_answers_back(store: StrategyStore) -> None:
    interview = begun(store, "en")
    assert form().field("industry").why.en in interview.say("why?").text
    interview.say("banking")
    assert "1 of" in interview.say("status").text
    assert interview.say("back").asking == "industry"
    assert interview.say("insurance").asking == "employees"
    assert interview.say("change industry").asking == "industry"
    interview.say("retail")
    [strategy] = store.of(ANNA)
    assert strategy.version == 3
    history = [store.profile(strategy, version).one("industry") for version in range(4)]
    assert history == [None, "banking", "insurance", "retail"]


def test_what_is_not_understood_changes_nothing_and_says_what_is_expected(
    store: StrategyStore,
) -> None:
    interview = begun(store)
    turn = interview.say("花店")
    assert "没听懂" in turn.text and turn.asking == "industry" and turn.answered == 0
    interview.say("制造")
    assert "数字" in interview.say("很多").text
    assert "没有“颜色”" in interview.say("修改 颜色").text


def test_commands_are_whole_words_and_fields_are_found_by_their_names(
    store: StrategyStore,
) -> None:
    interview = begun(store, "en")
    assert interview.say("change functions").asking == "functions"
    interview.say("Editorial work")
    [strategy] = store.of(ANNA)
    assert store.profile(strategy).many("functions") == ("editorial",)
    assert interview.say("change GPUs at hand").asking == "gpus"
    assert interview.say("CHANGE evaluation").asking == "evaluation"
    assert begun(store).say("修改可用的GPU").asking == "gpus"


def test_an_option_is_quoted_by_its_name_and_not_by_its_number(store: StrategyStore) -> None:
    turn = begun(store).say("1")
    profile = store.profile(store.get(turn.strategy_id, ANNA))
    assert profile.source("industry").quote == Words("制造", "Manufacturing")


def test_a_turn_comes_in_pieces_too(store: StrategyStore) -> None:
    interview = begun(store, read=True)
    turn = interview.say("为什么")
    assert turn.text.startswith(turn.lead) and turn.question in turn.text
    assert turn.proposal == "制造" and [q.against for q in turn.quotes] == [""]
    turn = interview.say("对")
    assert [q.against for q in turn.quotes] == ["", "402人"]
    assert "旧册" in turn.quotes[1].text


def test_it_can_be_finished_early(store: StrategyStore) -> None:
    interview = begun(store)
    interview.say("制造")
    turn = interview.say("完成")
    assert turn.done and turn.answered == FIELDS
    assert "问完了" in interview.ask().text
    assert interview.say("修改 员工人数").asking == "employees"
    assert interview.say("500").done


def test_it_is_left_and_taken_up_again_in_another_process(tmp_path: Path) -> None:
    store = StrategyStore(tmp_path)
    turn = begun(store).say("制造")
    store.close()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_answer_and_die, args=(tmp_path, turn.strategy_id))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    again = StrategyStore(tmp_path)
    turn = Interview(again, turn.strategy_id, ANNA).ask()
    assert turn.asking == "regions" and turn.answered == 2
    again.close()


def _answer_and_die(folder: Path, strategy_id: str) -> None:
    Interview(StrategyStore(folder), strategy_id, ANNA).say("418")
    os._exit(9)


def test_strategies_are_their_owners_alone(store: StrategyStore) -> None:
    [mine] = [store.begin(ANNA, "澄川", "zh")]
    assert store.of(BEN) == []
    with pytest.raises(NotFoundError):
        store.get(mine.id, BEN)
    with pytest.raises(NotFoundError):
        Interview(store, mine.id, BEN)


def test_a_strategy_is_shut_while_its_owner_lacks_a_group_it_was_read_with(
    store: StrategyStore,
) -> None:
    cleared = Principal("anna", ["finance"])
    strategy = store.begin(cleared, "澄川", "zh")
    assert store.of(ANNA) == []
    with pytest.raises(NotFoundError):
        store.get(strategy.id, ANNA)
    assert store.get(strategy.id, Principal("anna", ["finance", "hr"])) == strategy
    open_one = store.begin(ANNA, "澄川", "zh")
    store.propose(open_one.id, {}, cleared)
    assert store.of(ANNA) == []


def test_versions_that_are_not_there_and_deleted_strategies_are_told(store: StrategyStore) -> None:
    interview = begun(store)
    turn = interview.say("制造")
    strategy = store.get(turn.strategy_id, ANNA)
    with pytest.raises(NotFoundError, match="0 to 1"):
        store.profile(strategy, 2)
    store.delete(strategy.id)
    with pytest.raises(NotFoundError):
        interview.ask()
    begun(store)
    store.delete_all("anna")
    assert store.of(ANNA) == []


def test_fields_can_be_settled_without_conversation(store: StrategyStore) -> None:
    interview = begun(store)
    interview.set("budget", "150万")
    [strategy] = store.of(ANNA)
    assert store.profile(strategy).number("budget") == 1_500_000.0
    with pytest.raises(QuestionError):
        interview.set("colour", "red")
