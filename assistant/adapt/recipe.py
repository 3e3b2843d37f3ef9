"""What a recipe is: from which sources, by which process and training a model is taught.

A YAML file checked against these classes; unknown keys are errors. Paths in it count from the
current folder. It reads; it collects and trains nothing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from assistant.errors import ConfigurationError

RECIPES = Path(__file__).resolve().parent / "recipes"

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Source(_Part):
    """What all sources have.

    ``copies`` is how often each answerable question is used, each time in another window of
    its passage; ``limit`` takes so many questions at most (0: all), drawn by their hash.
    ``held_back`` is the share of documents kept for measuring.
    """

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    licence: str = Field(min_length=1)
    attribution: str = ""
    copies: Count = 1
    limit: Number = 0
    held_back: Share = 0.0


class PublicSource(_Source):
    """A public question set on this machine."""

    kind: Literal["public"]
    format: Literal["squad", "clapnq"]
    path: Path


class QuestionsSource(_Source):
    """Questions about documents below ``knowledge``, in YAML files that match ``files``.

    ``repeats`` are patterns of documents that say again what others say: no negatives.
    """

    kind: Literal["questions"]
    files: str = "evals/training/*.yaml"
    knowledge: Path = Path("knowledge")
    repeats: tuple[str, ...] = ()


class CasesSource(_Source):
    """The evaluation cases that are for training; the others' questions are forbidden."""

    kind: Literal["cases"]
    path: Path = Path("evals/cases")
    split: Literal["training"] = "training"
    knowledge: Path = Path("knowledge")


class LikedSource(_Source):
    """Answers of a running assistant that their readers liked, by the passages they quote."""

    kind: Literal["liked"]
    data_dir: Path


Source = Annotated[
    PublicSource | QuestionsSource | CasesSource | LikedSource, Field(discriminator="kind")
]


class Process(_Part):
    """How samples are made of what was collected; shares are of the samples they apply to.

    ``negatives`` are passages without the answer a question, ranked among the first
    ``ranked`` by the product's own search; ``beside`` is the share of questions that get a
    window of the gold passage without the answer, too. Crops are in tokens. ``paraphrased``
    applies to all copies of a question but the first.
    """

    paraphrased: Share = 0.4
    negatives: Number = 1
    ranked: Count = 6
    beside: Share = 0.25
    crop_tokens: tuple[int, int] = (96, 320)
    traditional: Share = 0.2
    simplified: Share = 0.7
    planted: Share = 0.08
    planted_only: Share = 0.05

    @model_validator(mode="after")
    def _ordered(self) -> Process:
        if not 16 <= self.crop_tokens[0] <= self.crop_tokens[1] <= 400:
            raise ValueError("crop_tokens are a least and a greatest length between 16 and 400")
        return self


class _Training(_Part):
    """What all trainings have.

    ``batch_tokens`` are the tokens of a step; ``eval_every`` and ``checkpoint_every`` are
    minutes. ``validation`` is the share of documents to choose the best state by, with
    ``validation_limit`` samples of them. ``patience`` evaluations without a better score end
    the training. ``threads`` wait for each other: on cores that others use as well, one is
    several times as fast as two.
    """

    weight_decay: NotNegative = 0.01
    warmup: Share = 0.06
    clip: Positive = 1.0
    batch_tokens: Count = 4096
    epochs: Count = 3
    max_minutes: Positive = 60.0
    validation: Share = 0.06
    validation_limit: Count = 400
    eval_every: Positive = 5.0
    checkpoint_every: Positive = 5.0
    patience: Count = 6
    threads: Count = 2


class Training(_Training):
    """How a reader is taught.

    ``layers`` is how many of the uppermost layers get an adapter (0: all). ``folds`` above 1
    adds a cross-validation before the training itself. ``start`` is the folder of an adapter of
    the same rank and embedding model to go on from; ``blend`` is the taught one's share in the
    mean of the two that results: between them lies what forgets less than the one and knows
    more than the other.

    Source: M. Wortsman et al., "Robust fine-tuning of zero-shot models", 2022.
    """

    start: Path | None = None
    blend: Share = 1.0
    rank: Count = 32
    alpha: Count = 64
    dropout: Share = 0.1
    layers: Number = 0
    learning_rate: Positive = 5e-4
    head_learning_rate: Positive = 2e-3
    answerable_weight: NotNegative = 0.5
    folds: Number = 0

    @model_validator(mode="after")
    def _something_to_blend(self) -> Training:
        if self.blend < 1 and self.start is None:
            raise ValueError("blend below 1 needs a start to blend with")
        return self


class WriterTraining(_Training):
    """How a writer is taught.

    ``base`` is the model below the adapter: ``embedded``, a folder, or a Hugging Face name.
    ``targets`` are the names of the linear layers that get one, as the model's code has them.
    ``device`` and ``dtype`` ``auto``: a GPU where there is one, bfloat16 where it or the
    processor computes in that. ``gradient_checkpointing`` takes less memory and more time.
    ``vocabulary`` ``seen`` counts the loss over the tokens that the samples hold, in place of
    all: a small model with a large vocabulary spends most of its time on the others.
    ``answer_tokens`` bounds what it writes when it is measured.
    """

    base: Annotated[str, Field(min_length=1)] = "embedded"
    rank: Count = 16
    alpha: Count = 32
    dropout: Share = 0.05
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = (
        *("q_proj", "k_proj", "v_proj", "o_proj"),
        *("gate_proj", "up_proj", "down_proj"),
    )
    learning_rate: Positive = 4e-4
    device: str = "auto"
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    gradient_checkpointing: bool = False
    vocabulary: Literal["all", "seen"] = "all"
    answer_tokens: Count = 160


class Writing(_Part):
    """What a writer is shown, and what it is to write.

    ``passages`` are the least and the greatest number in a prompt; ``unanswerable`` is the share
    of questions that none of them answers. ``form`` ``sentence`` copies the sentences around the
    answer and cites their passage; ``point`` writes only the numbers of passage and sentences.
    """

    passages: tuple[int, int] = (1, 3)
    unanswerable: Share = 0.15
    form: Literal["sentence", "point"] = "sentence"

    @model_validator(mode="after")
    def _ordered(self) -> Writing:
        if not 1 <= self.passages[0] <= self.passages[1] <= 9:
            raise ValueError("passages are a least and a greatest number between 1 and 9")
        return self


class Recipe(_Part):
    """What the recipes of all kinds have.

    ``measured`` is how many held-back questions of each source are put to the result (0: all).
    ``adapters`` is the registry's folder; empty: ``adapters`` below the data directory.
    """

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    seed: int = 7
    sources: tuple[Source, ...] = Field(min_length=1)
    process: Process = Process()
    measured: Number = 0
    adapters: Path | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError("each source needs a name of its own")
        return self

    @property
    def hash(self) -> str:
        """A fingerprint of all that is in it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


class ReaderRecipe(Recipe):
    """A whole recipe of a reader."""

    kind: Literal["reader"]
    training: Training = Training()


class WriterRecipe(Recipe):
    """A whole recipe of a writer."""

    kind: Literal["writer"]
    writing: Writing = Writing()
    training: WriterTraining = WriterTraining()


_READ: TypeAdapter[ReaderRecipe | WriterRecipe] = TypeAdapter(
    Annotated[ReaderRecipe | WriterRecipe, Field(discriminator="kind")]
)


def load_recipe(path: Path) -> ReaderRecipe | WriterRecipe:
    """Return the recipe of a file, or the one that ships under that name.

    Raises:
        ConfigurationError: there is none, or it is malformed; the message names the key.
    """
    shipped = RECIPES / f"{path}.yaml"
    file = shipped if not path.exists() and shipped.exists() else path
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        names = ", ".join(sorted(recipe.stem for recipe in RECIPES.glob("*.yaml")))
        raise ConfigurationError(
            f"{path} cannot be read as a recipe: {error}. Name a YAML file, or one of: {names}."
        ) from None
    try:
        return _READ.validate_python(content)
    except ValidationError as error:
        where = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']}" for e in error.errors()
        )
        raise ConfigurationError(f"{file}: {where}. Correct the recipe.") from None
