from __future__ import annotations

import pytest

from assistant import Assistant, Principal, Settings
from assistant.adapted import HashEmbedder
from assistant.engines.base import ScriptedEngine
from assistant.engines.extractive import ExtractiveEngine
from assistant.errors import EngineError
from assistant.strategy import Narrator, Plan, Statement, Weights, make_plan, write
from assistant.strategy.brief.prose import narrate
from assistant.strategy.types import (
    Brief,
    Bullets,
    Chart,
    Heading,
    PageBreak,
    Paragraph,
    Source,
    SourceList,
    Table,
    same,
)
from assistant.types import Language
from evals.strategy import COMPANIES, MARK, measure, profile_of

LANGUAGES: tuple[Language, ...] = ("zh", "en")
NET = "收益3,610元低于运行费5,950元，不能收回投资。"
FINDING = Statement(same("甲为1，乙为2。"), (Source("company", same("甲"), quote=same("为1。")),))


@pytest.fixture(scope="module", params=COMPANIES)
def plan(request: pytest.FixtureRequest) -> Plan:
    return make_plan(profile_of(str(request.param)), (FINDING,), Weights())


def texts(brief: Brief) -> list[str]:
    said: list[str] = []
    for block in brief.blocks:
        if isinstance(block, Heading | Paragraph):
            said.append(block.text)
        elif isinstance(block, Bullets):
            said += block.items
        elif isinstance(block, Table):
            said += [cell for row in block.rows for cell in row]
    return said


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_claim_is_cited_and_no_number_is_loose(plan: Plan, language: Language) -> None:
    measured = measure(write(plan, language), plan)
    assert measured.claims > 50
    assert measured.share == 1.0
    assert measured.loose == ()
    assert all(each.sources for each in plan.recommendations)


def test_the_measure_finds_what_is_not_held(plan: Plan) -> None:
    brief = write(plan, "en")
    invented = (*brief.blocks, Paragraph("It saves 987654 hours."), Bullets(("No source.",)))
    measured = measure(Brief("t", "c", "2026-11-24", "en", invented), plan)
    assert measured.loose == ("987654",)
    assert measured.claims - measured.cited == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_mark_has_an_entry_and_every_entry_a_mark(plan: Plan, language: Language) -> None:
    brief = write(plan, language)
    listed = [e.mark for b in brief.blocks if isinstance(b, SourceList) for e in b.entries]
    cited = {mark[1:-1] for text in texts(brief) for mark in MARK.findall(text)}
    assert len(listed) == len(set(listed))
    assert set(listed) == cited


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_holds_all_its_parts_in_one_language(plan: Plan, language: Language) -> None:
    brief = write(plan, language)
    assert isinstance(brief.blocks[0], Heading)
    first_break = next(i for i, b in enumerate(brief.blocks) if isinstance(b, PageBreak))
    assert first_break < 10
    kinds = [block.kind for block in brief.blocks if isinstance(block, Chart)]
    assert kinds == ["readiness", "matrix", "costs", "risks", "gantt"]
    assert FINDING.text.zh.rstrip("。") in "".join(texts(brief))
    headings = [block.text for block in brief.blocks if isinstance(block, Heading)]
    chinese = [any("\u4e00" <= c <= "\u9fff" for c in heading) for heading in headings]
    assert all(chinese) if language == "zh" else not any(chinese)


def test_both_languages_tell_the_same(plan: Plan) -> None:
    shapes = [
        [
            (type(block).__name__, len(getattr(block, "rows", getattr(block, "items", ()))))
            for block in write(plan, language).blocks
        ]
        for language in LANGUAGES
    ]
    assert shapes[0] == shapes[1]


# -- connecting prose ---------------------------------------------------------------------------


def narrated(plan: Plan, *replies: str | Exception, language: Language = "zh") -> list[str]:
    engine = ScriptedEngine(replies=replies)
    brief = write(plan, language, Narrator(engine, HashEmbedder().embed_passages))
    return [b.text for b in brief.blocks if isinstance(b, Paragraph) and b.role == "lead"]


def test_prose_that_a_fact_supports_is_kept_with_the_facts_sources(plan: Plan) -> None:
    fact = plan.recommendations[0].text.zh
    kept = narrated(plan, f"{fact}[1]", *["没有。"] * 5)
    assert len(kept) == 1
    assert MARK.sub("", kept[0]) == fact
    assert MARK.search(kept[0])


def test_prose_that_invents_a_number_or_says_something_else_is_dropped(plan: Plan) -> None:
    fact = plan.recommendations[0].text.zh.rstrip("。")
    invented = f"{fact}，可节省9999万元[1]。"
    assert narrated(plan, invented, "天气很好[1]。", *["没有。"] * 4) == []


@pytest.mark.parametrize(
    ("fact", "sentence", "kept"),
    [
        (NET, NET, True),
        (NET, "收益3,610元低于运行费5,950元。", True),
        (NET, "收益5,950元高于运行费3,610元，能收回投资。", False),
        (NET, "收益5,950元低于运行费3,610元。", False),
        ("不训练模型：先用提示词，不做预训练。", "训练模型：先用提示词，做预训练。", False),
        ("第一年125人，高峰按平均的3倍算。", "第一年3人，高峰按平均的125倍算。", False),
        ("部署方式选现有GPU，三年共约21万元。", "部署方式选现有GPU，完全没有风险。", False),
        ("The budget covers the first round.", "The budget does not cover the first round.", False),
        ("It costs 210,000 over 10 weeks.", "It costs 10 over 210,000 weeks.", False),
    ],
)
def test_a_sentence_claims_nothing_else_than_its_fact(fact: str, sentence: str, kept: bool) -> None:
    blocks = [Heading("章"), Bullets((f"{fact[:-1]}[1]{fact[-1]}",))]
    narrator = Narrator(ScriptedEngine(replies=[f"{sentence}[1]"]), HashEmbedder().embed_passages)
    written = narrate(blocks, "zh", narrator)
    assert (len(written) == 3) is kept


def test_without_a_model_that_follows_instructions_the_brief_is_the_same(plan: Plan) -> None:
    quoting = Narrator(ExtractiveEngine(), HashEmbedder().embed_passages)
    completing = Narrator(
        ScriptedEngine(replies=["…"], prompt_form="completion"), HashEmbedder().embed_passages
    )
    assert write(plan, "zh", quoting) == write(plan, "zh", completing) == write(plan, "zh")


def test_an_engine_that_fails_is_told(plan: Plan) -> None:
    with pytest.raises(EngineError):
        narrated(plan, RuntimeError("gone"))


def test_prose_is_written_by_the_assistants_engine_when_asked_for(settings: Settings) -> None:
    engine = ScriptedEngine(replies=["没有。"] * 6)
    with Assistant(settings, engine=engine) as assistant:
        strategies = assistant.strategies(Principal("li"))
        turn = strategies.begin("江城")
        strategies.say(turn.strategy_id, "完成")
        plain = strategies.brief(turn.strategy_id)
        assert engine.seen == []
        assert strategies.brief(turn.strategy_id, prose=True) == plain
        assert len(engine.seen) == 6
