"""The chain of a writer's recipe: collect, process, train, measure, register.

A writer on the embedded model is measured through llama.cpp, as the product uses it; one on
another model by transformers. What a stage does is told in its own module.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from assistant.adapt.batches import split
from assistant.adapt.card import scores_json, writer_card
from assistant.adapt.causal import load_base, with_adapter, write_by
from assistant.adapt.collect import Collected
from assistant.adapt.measure_writer import (
    Write,
    WriterOutcome,
    writer_summary,
    writer_worse,
    written,
)
from assistant.adapt.passages import Library
from assistant.adapt.recipe import WriterRecipe
from assistant.adapt.registry import Registry, registry_folder
from assistant.adapt.samples import counts
from assistant.adapt.train_writer import WriterTrainer
from assistant.adapt.watch import REFERENCE_FILE
from assistant.adapt.work import (
    Adapted,
    Tell,
    kept,
    prepared,
    reference,
    registered,
    told,
)
from assistant.adapt.writing import (
    WriterProcessor,
    WriterSample,
)
from assistant.embed import load_embedder
from assistant.engines.llama_child import open_model
from assistant.engines.llama_model import LlamaModel, Request
from assistant.errors import ConfigurationError
from assistant.model_files import EMBEDDED
from assistant.settings import Settings
from assistant.writer import (
    SHIPPED,
    Form,
    WriterFacts,
    check_whole,
    known_writers,
    prompt_of,
    prompt_text,
    read_writer_facts,
)

NOTICE_FILE, TERMS_FILE = "NOTICE", "GEMMA_TERMS.txt"
# Section 3.1 of the terms asks for this very sentence in a file of this name.
GEMMA_NOTICE = (
    "Gemma is provided under and subject to the Gemma Terms of Use found at "
    "ai.google.dev/gemma/terms"
)
_CHANGED = "This adapter changes what Gemma 3 270M writes; the terms and their use policy bind it"


def adapt_writer(recipe: WriterRecipe, settings: Settings, work: Path, tell: Tell) -> Adapted:
    """Run a writer's recipe in its open work folder; see `run.adapt`."""

    def process(library: Library, collected: Collected) -> WriterProcessor:
        count = load_embedder(settings).count_tokens
        return WriterProcessor(recipe, library, count, collected.held_back, collected.forbidden)

    kinds = (WriterSample, WriterSample)
    samples, trials = prepared(recipe, settings, work, tell, process, kinds)
    adapter, minutes = teach(recipe, settings, samples, work, tell)
    form = recipe.writing.form

    def measured(folder: Path | None, asked: Sequence[WriterSample]) -> list[WriterOutcome]:
        with _writing(recipe, settings, folder) as write:
            return written(write, form, asked, tell)

    check_whole(adapter, read_writer_facts(adapter))
    made = kept(work / "outcomes.json", WriterOutcome, lambda: measured(adapter, trials))
    before = kept(work / "before.json", WriterOutcome, lambda: measured(None, trials))
    scores = {"before": writer_summary(before), "after": writer_summary(made)}
    registry = Registry(recipe.adapters or registry_folder(settings.data_dir))
    rival = _rival(registry, adapter, tell)
    if rival:
        tell(f"register: measuring {rival.name}, which is in use, on the same questions")
    refusals = told(writer_worse(measured(rival, trials) if rival else before, made))
    notices = [GEMMA_NOTICE + ".", _CHANGED + "."] if recipe.training.base == EMBEDDED else []
    texts = {
        "scores.json": scores_json(scores),
        "card.md": writer_card(recipe, counts(samples), minutes, scores, notices, refusals),
    }
    if notices:
        texts[NOTICE_FILE] = GEMMA_NOTICE + "\n"
        texts[TERMS_FILE] = (SHIPPED / TERMS_FILE).read_text("utf-8")
    embedder = load_embedder(settings)
    held_back = [trial.question for trial in trials if trial.answerable]
    reference((s.question for s in samples), held_back, embedder).save(adapter / REFERENCE_FILE)
    return registered(recipe, registry, adapter, samples, texts, refusals, tell)


def teach(
    recipe: WriterRecipe,
    settings: Settings,
    samples: Sequence[WriterSample],
    work: Path,
    tell: Tell,
) -> tuple[Path, float]:
    """Train; return the adapter's folder and the minutes of training.

    It goes on where the training in the work folder is.
    """
    training, validation = split(samples, recipe.training.validation)
    base = load_base(recipe.training, settings)
    trainer = WriterTrainer(recipe, base, work / "training", tell)
    best = trainer.train(training, validation)
    adapter = work / "adapter"
    shutil.rmtree(adapter, ignore_errors=True)
    shutil.copytree(best, adapter)
    return adapter, trainer.position.seconds / 60


@contextmanager
def _writing(recipe: WriterRecipe, settings: Settings, adapter: Path | None) -> Iterator[Write]:
    """Open what writes for samples: the recipe's model with an adapter, or as it is."""
    form, most = recipe.writing.form, recipe.training.answer_tokens
    if recipe.training.base == EMBEDDED:
        # torch has loaded libgomp already, whose threads now spin while they wait (llama_child).
        own = {"llm_model": EMBEDDED, "llm_form": "completion"}
        threads = {"llm_threads": recipe.training.threads}
        with closing(open_model(settings.model_copy(update=own | threads), adapter)) as model:
            yield lambda sample: _by_llama(model, form, sample, most)
        return
    base = load_base(recipe.training, settings)
    model = with_adapter(base, adapter) if adapter else base.model.eval()
    yield lambda sample: write_by(model, base, _prompt(form, sample), most)


def _by_llama(model: LlamaModel, form: Form, sample: WriterSample, most: int) -> str:
    message = {"role": "user", "content": _prompt(form, sample)}
    request = Request([message], prompt_of(form).stop, most, 0.0, 0)
    return "".join(piece.text for piece in model.write(request)).strip()


def _prompt(form: Form, sample: WriterSample) -> str:
    return prompt_text(form, sample.language, sample.passages, sample.question)


def _rival(registry: Registry, adapter: Path, tell: Tell) -> Path | None:
    """Return the writer that is in use for the same model and prompt; a damaged one is none."""
    use = _use(read_writer_facts(adapter))
    for folder in known_writers(registry):
        try:
            facts = read_writer_facts(folder)
            if _use(facts) != use:
                continue
            check_whole(folder, facts)
        except ConfigurationError as error:
            tell(f"register: passed over. {error}")
            continue
        return folder
    return None


def _use(facts: WriterFacts) -> tuple[str, str, str, int]:
    return facts.base, facts.base_sha256, facts.form, facts.prompt_version
