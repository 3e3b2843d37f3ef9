from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from web_service import HOSTILE, Open, assert_inert, event, request, somebody

from assistant.accounts.records import Identity
from assistant.strategy.desk import Strategies
from assistant.strategy.evidence import Proposal, Reading
from assistant.strategy.parse import parse
from assistant.strategy.profile import Field, form
from assistant.strategy.types import Source, same
from assistant.surfaces.http.service import Service
from assistant.surfaces.web.strategy import StrategyView
from assistant.surfaces.web.strategy_talk import choices, known
from assistant.surfaces.web.wording import load_texts
from assistant.types import Language

LI = somebody("reader")
FIELDS = len(form().fields)
WITH_OPTIONS = [field for field in form().fields if field.options]


def mine(service: Service, identity: Identity = LI) -> Strategies:
    return service.assistant.strategies(identity.principal)


def paper(title: str, quote: str) -> Source:
    return Source("company", same(title), same("概况"), same(quote), "c1")


def begun(service: Service, company: str = "澄川", language: Language = "zh") -> str:
    """Begin a strategy whose papers speak of the industry, twice of the employees, of goals."""
    strategy_id = mine(service).begin(company, language).strategy_id
    proposals = {
        "industry": Proposal("industry", Reading("manufacturing", (paper("手册", "生产阀门。"),))),
        "employees": Proposal(
            "employees",
            Reading(418.0, (paper(HOSTILE, f"员工418人。{HOSTILE}"),)),
            (Reading(402.0, (paper("旧册", "员工402人。"),)),),
        ),
        "goals": Proposal("goals", Reading(("cost",), (paper("计划", "降本。"),))),
    }
    service.assistant._open_strategies().propose(strategy_id, proposals, LI.principal)
    return strategy_id


def shown(service: Service, language: Language = "zh", by: Identity = LI, **sent: Any) -> Any:
    return StrategyView(service, load_texts(language)).show(event(**sent), request(by))


# -- the list -------------------------------------------------------------------------------------


def test_the_list_shows_ones_own_with_how_far_they_are(service: Service) -> None:
    done = begun(service, HOSTILE)
    mine(service).say(done, "制造")
    mine(service).say(done, "不知道")
    mine(service, somebody(name="wu")).begin("别家公司")
    listed, *others = shown(service)
    assert others == [""] * 5
    assert_inert(listed)
    assert f">2/{FIELDS}</span>" in listed
    assert f'data-send="DELETE /v1/strategies/{done}"' in listed
    assert listed.count('data-test="strategy"') == 1
    assert "别家公司" not in listed


def test_an_empty_list_says_how_to_begin(service: Service) -> None:
    for language, words in (("zh", "还没有战略"), ("en", "no strategy yet")):
        listed, *_ = shown(service, language)  # type: ignore[arg-type]
        assert words in listed
        assert 'data-test="company"' in listed


def test_anothers_strategy_is_as_if_there_were_none(service: Service) -> None:
    theirs = mine(service, somebody(name="wu")).begin("别家公司").strategy_id
    for strategy_id in (theirs, "nowhere"):
        listed, *others = shown(service, id=strategy_id)
        assert "没有这份战略" in listed
        assert others == [""] * 5
    with pytest.raises(gr.Error, match="不对您开放"):
        StrategyView(service, load_texts("zh")).open(event(id=theirs), request(LI))


def test_only_those_who_may_ask_are_let_in(service: Service) -> None:
    stranger = replace(LI, scopes=frozenset({"documents"}))
    view = StrategyView(service, load_texts("zh"))
    for handler in (view.show, view.open, view.failed):
        with pytest.raises(gr.Error, match="权限"):
            handler(event(), request(stranger))


def test_looking_is_counted_and_a_turn_that_the_api_counted_is_not(open_service: Open) -> None:
    service = open_service(requests_per_minute=1)
    strategy_id = begun(service)
    view, asked = StrategyView(service, load_texts("en")), request(LI)
    view.show(event(), asked)
    view.open(event(id=strategy_id), asked)
    with pytest.raises(gr.Error, match="Try again in"):
        view.show(event(), asked)


def test_a_refusal_of_the_api_is_told_in_the_readers_language(service: Service) -> None:
    said = "More than 7 questions in a minute. Repeat in 12 s, or ask an administrator to …"
    for language, words in (("zh", "12 秒"), ("en", "12 seconds")):
        view = StrategyView(service, load_texts(language))
        told = view.failed(event(detail=said), request(LI))
        assert words in told
        assert told != view.failed(event(detail=said), request(LI))  # or it is not shown again


# -- the interview --------------------------------------------------------------------------------


def test_what_the_papers_say_stands_apart_from_the_question(service: Service) -> None:
    strategy_id = begun(service)
    mine(service).say(strategy_id, "对")
    _, _, top, turn, _, _ = shown(service, id=strategy_id)
    assert_inert(turn)
    assert f"1/{FIELDS}" in top
    question, papers = turn.split('data-test="proposal"')
    assert "公司有多少员工" in question
    assert "418" not in question
    assert '<b data-test="value">418' in papers
    assert papers.count("<blockquote") == 2
    assert papers.index("418人") < papers.index("说法不同") < papers.index("402人")
    assert "回答“对”采用" not in turn  # the buttons say it
    assert 'data-test="yes"' in turn


def test_the_companys_name_and_what_was_said_are_text(service: Service) -> None:
    name = "瑞通 Pumps " + HOSTILE
    strategy_id = begun(service, name)
    said = HOSTILE
    _, box, top, turn, result, table = shown(service, id=strategy_id, said=said, n="3")
    for html in (top, turn):
        assert_inert(html)
    for html in (box, result, table):
        assert "<img" not in html
    assert 'data-turn="3"' in turn
    assert_inert(shown(service, id=strategy_id, n=HOSTILE)[3])


def test_a_question_is_not_said_twice(service: Service) -> None:
    strategy_id = begun(service)
    said = mine(service).say(strategy_id, "为什么").lead
    turn = shown(service, id=strategy_id, said=said)[3]
    assert turn.count("属于哪个行业") == 1
    lead, question = turn.split('data-test="question"')
    assert "行业决定哪些用例合适" in lead
    assert "行业决定哪些用例合适" not in question
    assert 'data-test="lead"' not in shown(service, id=strategy_id)[3]


def test_an_interview_in_one_language_is_led_on_a_page_in_the_other(service: Service) -> None:
    strategy_id = begun(service, language="zh")
    turn = shown(service, "en", id=strategy_id)[3]
    assert "属于哪个行业" in turn
    assert ">Manufacturing</button>" in turn
    assert ">Yes</button>" in turn
    assert '<b data-test="value">制造</b>' in turn


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("field", WITH_OPTIONS, ids=lambda field: field.key)
def test_each_button_means_its_option(service: Service, field: Field, language: Language) -> None:
    strategies = mine(service)
    strategy_id = begun(service)
    store = service.assistant._open_strategies()
    for choice, key in zip(choices(field, language), field.options, strict=True):
        assert choice.label == field.options[key].in_(language)
        # Another proposal waits: a button must not be taken for "yes, that is right".
        other = next(each for each in field.options if each != key)
        value = (other,) if field.kind == "many" else other
        proposal = Proposal(field.key, Reading(value, (paper("a", "b"),)))
        store.propose(strategy_id, {field.key: proposal}, LI.principal)
        store.ask_for(strategy_id, field.key)
        strategies.say(strategy_id, choice.says)
        given = strategies.profile(strategy_id).answers[field.key]
        assert given.value == ((key,) if field.kind == "many" else key), choice
        assert strategies.get(strategy_id).asking == ""


@pytest.mark.parametrize("language", ["zh", "en"])
def test_several_buttons_together_mean_their_options(language: Language) -> None:
    for field in (each for each in WITH_OPTIONS if each.kind == "many"):
        pairs = zip(choices(field, language), field.options, strict=True)
        for (one, first), (two, second) in combinations(pairs, 2):
            assert parse(field, f"{one.says}，{two.says}") == (first, second)
        assert parse(field, load_texts(language)("strategy.say_none")) == ()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_line_of_the_table_can_be_changed(service: Service, language: Language) -> None:
    strategies, strategy_id = mine(service), begun(service)
    strategies.say(strategy_id, "全部确认")
    strategies.say(strategy_id, "完成")
    table = known(strategies.profile(strategy_id), language)
    rows = [row for _, part in table for row in part]
    assert len(rows) == FIELDS
    for row in rows:
        said = load_texts(language)("strategy.say_change", name=row.name)
        assert strategies.say(strategy_id, said).asking == row.key


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_other_buttons_speak_the_interviews_words(service: Service, language: Language) -> None:
    t, strategies = load_texts(language), mine(service)
    strategy_id = begun(service)

    def value(key: str) -> Any:
        return strategies.profile(strategy_id).answers[key].value

    assert "行业决定" in strategies.say(strategy_id, t("strategy.say_why")).text
    assert strategies.say(strategy_id, t("strategy.say_yes")).asking == "employees"
    assert value("industry") == "manufacturing"
    assert "418" not in strategies.say(strategy_id, t("strategy.say_no")).text
    strategies.say(strategy_id, t("strategy.say_unknown"))
    assert value("employees") is None
    assert strategies.say(strategy_id, t("strategy.say_back")).asking == "employees"
    strategies.say(strategy_id, t("strategy.say_all"))
    assert value("goals") == ("cost",)


# -- what comes of it -----------------------------------------------------------------------------


def test_the_table_tells_what_each_answer_rests_on(service: Service, tmp_path: Path) -> None:
    (tmp_path / "handbook.md").write_text("# 手册\n\n公司主要生产阀门。\n", "utf-8")
    service.assistant.ingest(tmp_path / "handbook.md")
    strategy_id = mine(service).begin("澄川", "zh").strategy_id
    for said in ("对", "300人", "不知道"):
        mine(service).say(strategy_id, said)
    table = shown(service, id=strategy_id)[5]
    assert table.count('data-test="known-row"') == 3
    industry, employees, unknown = table.split('data-test="known-row"')[1:]
    assert "制造" in industry and "来自资料：手册" in industry
    assert ">300" in employees and "您的回答" in employees
    assert "不清楚" in unknown and "来自资料" not in unknown
    assert 'data-say="修改 行业"' in industry


def test_the_brief_can_be_had_in_each_form_and_tells_what_is_open(service: Service) -> None:
    strategy_id = begun(service)
    result = shown(service, "en", id=strategy_id)[4]
    assert f"still open: {FIELDS}" in result
    assert result.index(">English<") < result.index(">中文<")
    for form_of_brief in ("docx", "pdf", "markdown"):
        for language in ("zh", "en"):
            path = f"/v1/strategies/{strategy_id}/brief?format={form_of_brief}"
            assert f'href="{path}&amp;language={language}"' in result
    assert 'data-test="to-brief"' not in shown(service, id=strategy_id)[3]
    mine(service).say(strategy_id, "全部确认")
    mine(service).say(strategy_id, "完成")
    _, _, _, turn, result, _ = shown(service, id=strategy_id)
    assert "全部答完" in result
    assert 'data-test="to-brief"' in turn
    assert "问完了" in turn
