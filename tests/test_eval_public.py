from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from assistant import Settings
from assistant.errors import ConfigurationError
from assistant.gate import Gate
from evals import published
from evals.bench import peers
from evals.bench.peer_methods import METHODS, Method, ours
from evals.bench.peers_page import markdown, page
from evals.public import FORMATS, Corpus, Question, read, write_files
from evals.public_measures import Outcome, measure
from evals.public_run import PublicRun, draw, public_markdown, run_public
from evals.ranking import hit_at, ndcg_at, reciprocal_rank

TEXTS = {
    "水稻": "水稻喜欢温暖湿润的气候，插秧通常在五月进行。",
    "灯塔": "这座灯塔建于一八九三年，高三十四米，由石匠刘安主持修建。",
    "Pump": "The CP-2150 pump delivers 45 cubic metres an hour.",
    "Glacier": "The glacier lost eleven metres of ice in one summer.",
    "火车": "夜班火车晚上九点从兰州出发，次日清晨到达敦煌。",
    "Tea": "Oolong tea is half fermented and roasted over charcoal.",
}
ASKED = {
    "水稻": ("水稻插秧在几月？", "五月"),
    "灯塔": ("灯塔由谁主持修建？", "石匠刘安"),
    "Pump": ("How much does the CP-2150 pump deliver an hour?", "45 cubic metres"),
    "Glacier": ("How much ice did the glacier lose?", "eleven metres"),
    "火车": ("夜班火车几点从兰州出发？", "晚上九点"),
    "Tea": ("How is oolong tea roasted?", "over charcoal"),
}


def write_squad(folder: Path) -> Path:
    articles = [
        {
            "title": title,
            "paragraphs": [{"context": text, "qas": [qa(*ASKED[title])]}],
        }
        for title, text in TEXTS.items()
    ]
    articles[0]["paragraphs"][0]["qas"].append(  # type: ignore[index]
        {"question": "水稻多少钱一斤？", "answers": [], "is_impossible": True}
    )
    path = folder / "tiny.json"
    path.write_text(json.dumps({"version": "1", "data": articles}), "utf-8")
    return path


def qa(question: str, answer: str) -> dict[str, object]:
    return {"question": question, "answers": [{"text": answer}, {"text": answer}]}


def write_beir(folder: Path) -> Path:
    path = folder / "beir"
    (path / "qrels").mkdir(parents=True)
    titles = list(TEXTS)
    write_lines(
        path / "corpus.jsonl",
        [{"_id": f"d{i}", "title": t, "text": TEXTS[t]} for i, t in enumerate(titles)],
    )
    write_lines(
        path / "queries.jsonl",
        [{"_id": f"q{i}", "text": ASKED[t][0]} for i, t in enumerate(titles)],
    )
    judged = "query-id\tcorpus-id\tscore\n" + "".join(
        f"q{i}\td{i}\t2\nq{i}\td{(i + 1) % len(titles)}\t0\n" for i in range(len(titles))
    )
    (path / "qrels" / "test.tsv").write_text(judged, "utf-8")
    return path


def write_clapnq(folder: Path) -> Path:
    path = folder / "clapnq"
    path.mkdir()
    rows = [
        {
            "input": ASKED[title][0],
            "passages": [{"title": title, "text": text}],
            "output": [{"answer": ASKED[title][1]}],
        }
        for title, text in TEXTS.items()
    ]
    write_lines(path / "a.jsonl", rows[:4])
    write_lines(
        path / "b.jsonl",
        [rows[4] | {"output": [{"answer": ""}]}, rows[5] | {"output": [{"answer": None}]}],
    )
    return path


def write_rgb(folder: Path) -> Path:
    path = folder / "zh.json"
    rows = [
        {
            "id": i,
            "query": question,
            "answer": [[answer, answer + "!"]],
            "positive": [TEXTS[title]],
            "negative": [TEXTS[other] for other in list(TEXTS)[-2:] if other != title],
        }
        for i, (title, (question, answer)) in enumerate(ASKED.items())
    ]
    rows[0]["answer"], rows[0]["positive"] = ["五月", "插秧"], [[TEXTS["水稻"]], []]
    write_lines(path, rows)
    return path


def write_nomiracl(folder: Path) -> Path:
    path = folder / "nomiracl"
    path.mkdir()
    passages = [{"docid": t, "title": t, "text": text} for t, text in TEXTS.items()]
    relevant = [
        {
            "query_id": str(i),
            "query": ASKED[title][0],
            "positive_passages": [passages[i]],
            "negative_passages": [passages[-1]],
        }
        for i, title in enumerate(list(TEXTS)[:4])
    ]
    stray = {"query_id": "9", "query": "月球上有水吗？", "positive_passages": []}
    write_lines(path / "test.relevant.jsonl", relevant)
    write_lines(path / "test.non_relevant.jsonl", [stray | {"negative_passages": passages[:2]}])
    return path


def write_lines(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")


WRITERS: dict[str, Callable[[Path], Path]] = {
    "squad": write_squad,
    "beir": write_beir,
    "clapnq": write_clapnq,
    "rgb": write_rgb,
    "nomiracl": write_nomiracl,
}


# -- readers -------------------------------------------------------------------------------------


def test_every_format_is_tried_here() -> None:
    assert WRITERS.keys() == FORMATS.keys()


def test_squad_keeps_titles_and_counts_an_answer_once(tmp_path: Path) -> None:
    corpus = read("squad", write_squad(tmp_path))
    assert corpus.name == "tiny"
    assert corpus.titles == tuple(TEXTS)
    assert corpus.passages == tuple(TEXTS.values())
    assert corpus.questions[0] == Question("水稻插秧在几月？", {0: 1}, (("五月",),))
    assert corpus.questions[1] == Question("水稻多少钱一斤？", {})


def test_a_folder_may_hold_one_squad_file_alone(tmp_path: Path) -> None:
    write_squad(tmp_path)
    assert read("squad", tmp_path).name == "tiny"
    (tmp_path / "other.json").write_text("{}", "utf-8")
    with pytest.raises(ConfigurationError, match=r"several sets: other\.json, tiny\.json"):
        read("squad", tmp_path)


def test_beir_keeps_grades_and_prefers_the_test_split(tmp_path: Path) -> None:
    path = write_beir(tmp_path)
    (path / "qrels" / "dev.tsv").write_text("q0\td1\t1\n", "utf-8")
    first = read("beir", path).questions[0]
    assert first.grades == {0: 2, 1: 0}
    assert first.gold == {0}
    (path / "qrels" / "test.tsv").unlink()
    assert read("beir", path).questions == (Question("水稻插秧在几月？", {1: 1}),)


def test_clapnq_without_an_answer_is_unanswerable_and_its_passage_stays(tmp_path: Path) -> None:
    corpus = read("clapnq", write_clapnq(tmp_path))
    assert len(corpus.passages) == 6
    assert [bool(question.gold) for question in corpus.questions] == [True] * 4 + [False] * 2
    assert corpus.questions[5].grades == {5: 0}


def test_rgb_parts_are_all_wanted_and_spellings_compete(tmp_path: Path) -> None:
    corpus = read("rgb", write_rgb(tmp_path))
    assert corpus.questions[0].answers == (("五月",), ("插秧",))
    assert corpus.questions[2].answers == (("45 cubic metres", "45 cubic metres!"),)
    assert sorted(corpus.passages) == sorted(TEXTS.values())
    gold = corpus.questions[1].gold
    assert [corpus.passages[index] for index in gold] == [TEXTS["灯塔"]]
    assert len(corpus.questions[1].grades) == 3


def test_nomiracl_reads_both_splits(tmp_path: Path) -> None:
    corpus = read("nomiracl", write_nomiracl(tmp_path))
    assert corpus.questions[0].gold == frozenset()
    assert [len(question.gold) for question in corpus.questions] == [0, 1, 1, 1, 1]
    assert sorted(corpus.questions[1].grades.values()) == [0, 1]


@pytest.mark.parametrize(
    ("format", "name", "text", "message"),
    [
        ("squad", "a.json", '{"data": [\n{"paragraphs": 3}]}', r"a\.json: data\.0\.paragraphs"),
        ("squad", "a.json", '{"data":\n[}', r"a\.json: Invalid JSON.*line 2.*Mend the file"),
        ("squad", "a.json", '{"data": []}', r"a\.json holds no question.*'squad'"),
        ("clapnq", "a.jsonl", "\n{}\n", r"a\.jsonl, line 2: input: Field required.*Mend the line"),
        ("clapnq", "a.jsonl", '{"input": "?", "passages": [], "output": []}', r"passages.*1 item"),
        ("rgb", "a.json", '{"query": "?", "answer": "x"}', r"a\.json, line 1: positive: Field"),
        ("rgb", "a.json", '{"query": \n', r"a\.json, line 1: Invalid JSON.*another format"),
        ("nomiracl", "a.jsonl", '{"query": "?"}', r"line 1: positive_passages: Field required"),
        ("nomiracl", "a.jsonl", "", r"a\.jsonl holds no question"),
    ],
)
def test_malformed_input_names_file_line_and_remedy(
    tmp_path: Path, format: str, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=message):
        read(format, tmp_path / name)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q0 d0 1", r"test\.tsv, line 2: .*tabs\. Mend the line"),
        ("q0\td0\thigh", r"test\.tsv, line 2: .*whole number"),
        ("q0\td99\t1", r"line 2: 'd99' is not in corpus\.jsonl\. Complete"),
        ("q99\td0\t1", r"line 2: 'q99' is not in queries\.jsonl\. Complete"),
    ],
)
def test_malformed_judgements_name_file_line_and_remedy(
    tmp_path: Path, line: str, message: str
) -> None:
    path = write_beir(tmp_path)
    (path / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{line}\n", "utf-8")
    with pytest.raises(ConfigurationError, match=message):
        read("beir", path)


def test_a_missing_part_of_a_set_is_named(tmp_path: Path) -> None:
    path = write_beir(tmp_path)
    (path / "queries.jsonl").unlink()
    with pytest.raises(ConfigurationError, match=r"queries\.jsonl cannot be read.*complete"):
        read("beir", path)


def test_unknown_format_lists_the_choices_and_a_missing_path_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="squad, beir, clapnq, rgb, nomiracl"):
        read("trec", tmp_path)
    with pytest.raises(ConfigurationError, match=r"gone does not exist\. Nothing is downloaded"):
        read("squad", tmp_path / "gone")


def test_text_in_another_encoding_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"query": "?"}\n' + "水稻".encode("gb18030"))
    with pytest.raises(ConfigurationError, match=r"a\.jsonl, line 2 is not UTF-8.*Convert"):
        read("nomiracl", tmp_path / "a.jsonl")


def test_a_line_separator_inside_a_string_ends_no_line(tmp_path: Path) -> None:
    row = {"input": "a\u2028b?", "passages": [{"text": "x\u2028y"}], "output": [{"answer": "x"}]}
    write_lines(tmp_path / "a.jsonl", [row])
    assert read("clapnq", tmp_path / "a.jsonl").passages == ("x\u2028y",)


def test_passages_left_out_are_not_written(tmp_path: Path) -> None:
    write_files(read("squad", write_squad(tmp_path)), tmp_path / "files", frozenset({1, 2}))
    names = sorted(file.name for file in (tmp_path / "files").iterdir())
    assert names == ["000000.md", "000003.md", "000004.md", "000005.md"]
    assert (tmp_path / "files" / "000000.md").read_text("utf-8").startswith("# 水稻\n\n水稻喜欢")


# -- measures ------------------------------------------------------------------------------------


def test_ranking_measures_by_hand() -> None:
    ranked, grades = [5, 1, 2], {1: 2, 2: 1, 9: 3, 7: 0}
    assert [hit_at(k, ranked, grades) for k in (1, 2)] == [0.0, 1.0]
    assert reciprocal_rank(10, ranked, grades) == 0.5
    assert reciprocal_rank(1, ranked, grades) == 0.0
    found, ideal = 2 / math.log2(3) + 1 / 2, 3 + 2 / math.log2(3) + 1 / 2
    assert ndcg_at(10, ranked, grades) == pytest.approx(found / ideal)
    assert ndcg_at(1, [9], grades) == 1.0
    assert ndcg_at(10, [], grades) == 0.0


def test_cmrc_counts_the_longest_common_substring() -> None:
    assert published.cmrc_f1("我在北京大学读书", ["北京", "北京大学"]) == pytest.approx(8 / 12)
    assert published.cmrc_f1("甲丁乙丙", ["甲乙丙"]) == pytest.approx(4 / 7)
    assert published.cmrc_f1("甲丁丙", ["甲乙丙"]) == pytest.approx(2 / 6)
    assert published.cmrc_f1("使用GPU 训练", ["gpu"]) == pytest.approx(2 / 6)
    assert published.cmrc_f1("", ["甲"]) == 0.0
    assert published.cmrc_exact("《北京大学》。", ["清华", "北京大学"]) == 1.0
    assert published.cmrc_exact("北京大学里", ["北京大学"]) == 0.0


def test_squad_drops_articles_and_punctuation() -> None:
    assert published.squad_exact("The cat!", ["dog", "cat"]) == 1.0
    assert published.squad_exact("cats", ["cat"]) == 0.0
    assert published.squad_f1("the cat sat", ["A cat sat down."]) == pytest.approx(0.8)
    assert published.squad_f1("nothing", ["cat"]) == 0.0


def test_rouge_takes_the_best_reference() -> None:
    f1, recall = published.rouge_l(
        "The cat sat on mat.", ["a dog", "the cat lay on the mat"]
    )  # the cat on mat
    assert f1 == pytest.approx(8 / 11)
    assert recall == pytest.approx(4 / 6)
    assert published.rouge_l("", ["the cat"]) == (0.0, 0.0)


def test_rgb_wants_every_part_in_any_spelling() -> None:
    parts = (("Jan 3", "January 3"), ("12",))
    assert published.rgb_correct("on january 3 and 12", parts, chinese=False) == 1.0
    assert published.rgb_correct("on january 3", parts, chinese=False) == 0.0
    assert published.rgb_correct("1 月 3 日", (("1月3日",),), chinese=True) == 1.0
    assert published.rgb_correct("1 月 3 日", (("1月3日",),), chinese=False) == 0.0


def outcome(gold: bool, there: bool, refused: bool, error: str = "") -> Outcome:
    grades = {0: 1} if gold else {0: 0}
    kept = grades if there else {}
    return Outcome(Question("?", grades), kept, (0,), "", refused, 0.1, error)


def test_nomiracl_rates_count_each_split_alone() -> None:
    outcomes = [
        *[outcome(gold=False, there=True, refused=refused) for refused in (True, True, False)],
        *[outcome(gold=True, there=True, refused=refused) for refused in (True, False)],
        outcome(gold=True, there=False, refused=True),
        outcome(gold=False, there=True, refused=False, error="EngineError: gone"),
    ]
    means = {each.name: each.mean for each in measure("nomiracl", outcomes)}
    assert means["hallucination"].value == pytest.approx(1 / 4)
    assert means["error_rate"].value == 0.5
    assert means["refused_left_out"].value == 1.0
    assert means["recall@1"].n == 2
    assert means["error"].value == pytest.approx(1 / 7)
    assert "token_f1" not in means  # the set has no answers


def test_a_third_of_the_questions_lose_their_passages_and_their_twins() -> None:
    questions = tuple(Question(str(i), {i: 1, 9: 0}) for i in range(9))
    corpus = Corpus("c", ("",) * 10, ("",) * 10, questions)
    asked, left_out = draw(corpus, 0, 1)
    assert asked == list(questions)
    assert len(left_out) == 3 and 9 not in left_out
    assert draw(corpus, 6, 1) == draw(corpus, 6, 1) != draw(corpus, 6, 2)
    assert len(draw(corpus, 6, 1)[0]) == 6
    halves = Corpus("c", ("",) * 10, ("",) * 10, questions, topics=(0, 1, 2, 3, 4) * 2)
    out = draw(halves, 0, 1)[1]
    assert {(index + 5) % 10 for index in out} == out


# -- the whole run -------------------------------------------------------------------------------


def run(format: str, folder: Path, **changes: object) -> PublicRun:
    settings = Settings(
        data_dir=folder / "untouched",
        embedding_model="hash",
        engine="extractive",
        allowed_folders=(folder / "elsewhere",),
    ).model_copy(update=changes)
    return run_public(format, WRITERS[format](folder), settings, out=folder / "run.json")


@pytest.mark.parametrize("format", WRITERS)
def test_every_format_runs_end_to_end(tmp_path: Path, format: str) -> None:
    done = run(format, tmp_path, gate_threshold=0.0)
    means = {each.name: each.mean.value for each in done.measures}
    assert done.not_taken_in == ()
    assert 1 <= done.left_out <= 2
    assert means["recall@1"] == means["ndcg@10"] == 1.0
    assert means["answered"] >= 0.5
    assert means["refused_left_out"] == 0.0  # the gate is open
    assert means["error"] == 0.0
    assert not (tmp_path / "untouched").exists()
    if "holds" in means:
        assert means["holds"] >= 0.5


def test_the_gate_is_named_partial_where_it_was_calibrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_squad(tmp_path).rename(tmp_path / "cmrc2018_dev.json")
    settings = Settings(embedding_model="hash", engine="extractive")
    with monkeypatch.context() as fitting:
        fitting.setattr(Gate, "fits", lambda *_: True)
        done = run_public("squad", tmp_path / "cmrc2018_dev.json", settings, limit=2)
    assert "was calibrated on this set" in public_markdown(done)
    other = run_public("squad", tmp_path / "cmrc2018_dev.json", settings, limit=2)
    assert "calibrated" not in public_markdown(other)  # not for this embedding model


def test_a_closed_gate_refuses_all_and_scores_no_words(tmp_path: Path) -> None:
    done = run("squad", tmp_path, gate_threshold=1.0)
    means = {each.name: each.mean.value for each in done.measures}
    assert means["answered"] == means["f1"] == means["holds"] == 0.0
    assert means["refused_left_out"] == means["refused_own"] == 1.0
    assert means["recall@1"] == 1.0
    written = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert len(written["outcomes"]) == 7
    assert {row["kind"] for row in written["outcomes"]} == {
        "answerable", "left out", "unanswerable"
    }  # fmt: skip
    assert written["settings"]["gate_threshold"] == 1.0
    table = public_markdown(done)
    assert "| F1 (SQuAD: words; Chinese: CMRC 2018) (`f1`) | set | 0.000 |" in table
    assert "6 passages, 2 of them left out" in table


# -- peers ---------------------------------------------------------------------------------------


def test_a_missing_peer_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISTANT_EMBEDDING_MODEL", "hash")
    monkeypatch.setitem(METHODS, "gone", Method("Gone", ("no_such_framework",), "nsf", ours))
    corpus = read("squad", write_squad(tmp_path))
    row = peers.measure("gone", corpus, peers.drawn(corpus, 2))
    assert row.problem == "not installed (no_such_framework): pip install nsf"
    assert "| Gone | not installed" in markdown([row])
    assert "not installed" in page("tiny", [row])


def test_ours_is_measured_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASSISTANT_EMBEDDING_MODEL", "hash")
    given = [str(write_squad(tmp_path)), "--methods", "ours", "--out", "page.html"]
    monkeypatch.setattr(sys, "argv", ["peers.py", *given])
    peers.main()
    table = capsys.readouterr().out
    assert "tiny: 6 passages, 6 questions" in table
    assert "| Ours, `Assistant.search` | 1.000 | 1.000 | 1.000 |" in table
    drawing = (tmp_path / "page.html").read_text("utf-8")
    assert "<svg" in drawing and "1.000" in drawing and "http" not in drawing


def test_a_method_that_fails_says_why(tmp_path: Path) -> None:
    row = peers.apart("ours", [str(tmp_path / "gone.json")])
    assert row.problem.startswith("failed: ")
    assert "gone.json does not exist" in row.problem


def test_figures_of_a_row_stand_in_the_table() -> None:
    row = peers.Row("A", "", 0.5, 0.75, 0.6, 12.34, 2.0, 33.3, 0.9, None)
    assert "| A | 0.500 | 0.750 | 0.600 | 12.3 | 2.0 | 33.3 | 90% | – |" in markdown([row])
