"""The reader: it finds the words of a passage that answer a question, or says they are not there.

The encoder of the very embedding model that is loaded, with a low-rank adapter merged into
copies of its linear layers, and three heads: where an answer starts, where it ends, and
whether there is one. It quotes and cannot invent. How it is taught is told in
`assistant.adapt`; which passages it is given, its callers decide.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assistant.embed import Embedder, Fingerprint
from assistant.errors import ConfigurationError
from assistant.pairs import PairTokenizer, Window
from assistant.types import Reading

if TYPE_CHECKING:
    import torch

SHIPPED = Path(__file__).resolve().parent / "adapters" / "reader"
VERSION = 1
WEIGHTS_FILE, FACTS_FILE = "adapter.safetensors", "reader.json"
MAX_SPAN_TOKENS = 64
_BATCH_TOKENS = 4096  # padding included; more gains nothing on a processor

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Calibration:
    """Turns the answerability logit into a probability: ``sigmoid(logit / temperature + bias)``.

    ``threshold`` is the probability at which the two errors, answering wrongly and refusing
    wrongly, are equal on the questions it was fitted on.

    Source: J. Platt, "Probabilistic outputs for support vector machines", 1999.
    """

    temperature: float = 1.0
    bias: float = 0.0
    threshold: float = 0.5

    def probability(self, logit: float) -> float:
        """Return the probability for a logit of the answerability head."""
        return float(1.0 / (1.0 + np.exp(-(logit / self.temperature + self.bias))))


@dataclass(frozen=True)
class Facts:
    """What an adapter must be used with: the fingerprint of its embedding model, and its scale.

    ``rank`` and ``alpha`` are LoRA's: a weight W becomes W + alpha / rank · B A.

    Source: E. Hu et al., "LoRA: low-rank adaptation of large language models", 2021.
    """

    embedding_model: Fingerprint
    rank: int
    alpha: float
    calibration: Calibration = Calibration()
    version: int = VERSION


@dataclass(frozen=True)
class Scores:
    """Logits of a batch, float32: two of (windows, tokens), and ``answerable`` of (windows,).

    Those of tokens outside the passage are -inf, but for the first token of a window, which
    stands for "not here".
    """

    start: torch.Tensor
    end: torch.Tensor
    answerable: torch.Tensor


def new_heads(hidden: int) -> torch.nn.ModuleDict:
    """Return untrained heads for an encoder of ``hidden`` dimensions."""
    from torch import nn

    return nn.ModuleDict({"span": nn.Linear(hidden, 2), "answerable": nn.Linear(hidden, 1)})


def forward(
    encoder: torch.nn.Module, heads: torch.nn.ModuleDict, windows: Sequence[Window], padding: int
) -> Scores:
    """Pass one padded batch of windows through encoder and heads."""
    import torch

    device = next(encoder.parameters()).device
    longest = max(map(len, windows))
    ids = torch.full((len(windows), longest), padding)
    types = torch.zeros((len(windows), longest), dtype=torch.long)
    mask = torch.zeros((len(windows), longest), dtype=torch.long)
    allowed = torch.zeros((len(windows), longest), dtype=torch.bool)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = torch.from_numpy(window.ids)
        types[row, : len(window)] = torch.from_numpy(window.types)
        mask[row, : len(window)] = 1
        allowed[row, : len(window)] = torch.from_numpy(window.inside)
    allowed[:, 0] = True
    states = encoder(
        input_ids=ids.to(device),
        token_type_ids=types.to(device),
        attention_mask=mask.to(device),
    ).last_hidden_state
    with torch.autocast(device.type, enabled=False):
        states = states.float()
        spans = heads["span"](states).masked_fill(~allowed.to(device)[..., None], -torch.inf)
        answerable = heads["answerable"](states[:, 0])[:, 0]
    return Scores(spans[..., 0], spans[..., 1], answerable)


def best_span(start: Floats, end: Floats) -> tuple[int, int, float]:
    """Return the first and the last token of the best span, and its log-odds against token 0.

    Args:
        start: logits (tokens,) of where the answer starts, -inf where it cannot.
        end: logits (tokens,) of where it ends.
    """
    none = float(start[0] + end[0])
    sums = start[1:, None] + end[None, 1:]
    distance = np.arange(len(end) - 1)[None, :] - np.arange(len(start) - 1)[:, None]
    sums = np.where((distance >= 0) & (distance < MAX_SPAN_TOKENS), sums, -np.inf)
    first, last = divmod(int(sums.argmax()), sums.shape[1])
    return first + 1, last + 1, float(sums[first, last]) - none


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield the places of texts by falling length, so many that, padded, they fit ``budget``.

    Args:
        lengths: tokens of each text.
        budget: tokens of a batch; a text longer than that is a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    while order:
        size = max(1, budget // lengths[order[0]])
        yield order[:size]
        order = order[size:]


class Reader:
    """Reads passages for a question; safe to share between threads.

    Args:
        encoder: with the adapter merged.
        heads: as `new_heads` makes them.
        tokenizer: of the same model.
        calibration: of the answerability head.
    """

    def __init__(
        self,
        encoder: torch.nn.Module,
        heads: torch.nn.ModuleDict,
        tokenizer: PairTokenizer,
        calibration: Calibration,
    ) -> None:
        self.calibration = calibration
        self._encoder = encoder.eval()
        self._heads = heads.eval()
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, path: Path, embedder: Embedder) -> Reader:
        """Return the reader whose adapter lies in a folder, on the embedder's own weights.

        Raises:
            ConfigurationError: the folder is no adapter, or one for another embedding model.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        facts = read_facts(path)
        if facts.embedding_model != embedder.fingerprint:
            raise ConfigurationError(
                f"The reader in {path} was taught on the embedding model "
                f"{facts.embedding_model}, not on {embedder.fingerprint}. Teach one on the model "
                "that is set: assistant adapt run reader-full (needs the extra `train`)."
            )
        encoder, tokenizer = encoder_of(embedder)
        heads = new_heads(encoder.config.hidden_size)
        try:
            tensors = load_file(path / WEIGHTS_FILE)
            merged = merge(encoder, tensors, facts.alpha / facts.rank)
            own = {n[6:]: t.float() for n, t in tensors.items() if n.startswith("heads.")}
            heads.load_state_dict(own)
        except (OSError, SafetensorError, KeyError, RuntimeError, AttributeError) as error:
            raise ConfigurationError(
                f"The reader in {path} is damaged ({error}). Go back to the one before it: "
                "assistant adapt roll-back reader."
            ) from None
        heads.to(next(merged.parameters()).device)
        return cls(merged, heads, PairTokenizer(tokenizer), facts.calibration)

    def read(self, question: str, passages: Sequence[str]) -> list[Reading]:
        """Return a reading of each passage, in their order."""
        return self.read_pairs([(question, passage) for passage in passages])

    def read_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[Reading]:
        """Return a reading of each question with its passage, in their order."""
        import torch

        split = self._tokenizer.windows(pairs)
        windows = [(row, window) for row, parts in enumerate(split) for window in parts]
        found: list[list[Reading]] = [[] for _ in pairs]
        for places in batches([len(window) for _, window in windows], _BATCH_TOKENS):
            chosen = [windows[place] for place in places]
            with torch.inference_mode():
                scores = forward(
                    self._encoder, self._heads, [w for _, w in chosen], self._tokenizer.padding
                )
            starts, ends = scores.start.cpu().numpy(), scores.end.cpu().numpy()
            logits = scores.answerable.cpu().numpy()
            for (row, window), start, end, logit in zip(chosen, starts, ends, logits, strict=True):
                probability = self.calibration.probability(float(logit))
                span = span_of(window, pairs[row][1], start, end)
                found[row].append(Reading(*span[:3], probability, span[3]))
        return [_joined(readings) for readings in found]


def span_of(
    window: Window, passage: str, start: Floats, end: Floats
) -> tuple[int, int, float, str]:
    """Return the best span of a window: its characters, its log-odds, and its text.

    Args:
        window: what was read.
        passage: the whole passage that the characters count in.
        start: logits as in `best_span`; padding after the window is passed over.
        end: likewise.
    """
    first, last, score = best_span(start[: len(window)], end[: len(window)])
    left, right = int(window.offsets[first, 0]), int(window.offsets[last, 1])
    text = passage[left:right]
    left += len(text) - len(text.lstrip())
    text = text.strip()
    return left, left + len(text), score, text


def encoder_of(embedder: Embedder) -> tuple[Any, Any]:
    """Return the encoder and the tokenizer of the model that an embedder has loaded.

    Raises:
        ConfigurationError: the embedder is not a model of tokens.
    """
    model: Any = None
    if type(embedder) is Embedder:
        model = embedder._open_model()
    encoder = getattr(model[0], "auto_model", None) if model is not None else None
    if encoder is None:
        raise ConfigurationError(
            "A reader needs the token states of a sentence-transformers model. Set "
            "ASSISTANT_EMBEDDING_MODEL to `embedded` or to such a model."
        )
    return encoder, model.tokenizer


def merge(encoder: Any, tensors: Mapping[str, torch.Tensor], scale: float) -> Any:
    """Return a copy of an encoder with an adapter's products added to its linear layers.

    Only the weights that change are copied; all others, above all the word embeddings, are
    shared with the model that is loaded.

    Args:
        encoder: as the embedding model has it; it stays as it is.
        tensors: ``<module>.lora_A`` (rank, in) and ``<module>.lora_B`` (out, rank) by module.
        scale: alpha / rank.
    """
    import torch

    names = [name.removesuffix(".lora_A") for name in tensors if name.endswith(".lora_A")]
    shared = {id(p): p for p in [*encoder.parameters(), *encoder.buffers()]}
    merged = copy.deepcopy(encoder, dict(shared))
    with torch.no_grad():
        for name in names:
            linear: Any = merged.get_submodule(name)
            low, high = (tensors[f"{name}.lora_{part}"].float() for part in "AB")
            delta = scale * (high @ low).to(linear.weight.device)
            weight = (linear.weight.float() + delta).to(linear.weight.dtype)
            linear.weight = torch.nn.Parameter(weight, requires_grad=False)
    return merged


def read_facts(path: Path) -> Facts:
    """Return what an adapter must be used with.

    Raises:
        ConfigurationError: the folder is no adapter, or of another version.
    """
    try:
        content = json.loads((path / FACTS_FILE).read_text("utf-8"))
        calibration = Calibration(**content.pop("calibration"))
        facts = Facts(calibration=calibration, **content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is not the folder of a reader ({error}). `assistant adapt run` makes one."
        ) from None
    if facts.version != VERSION:
        raise ConfigurationError(
            f"The reader in {path} is of version {facts.version}, not {VERSION}. Teach one anew: "
            "assistant adapt run reader-full."
        )
    return facts


def _joined(windows: Sequence[Reading]) -> Reading:
    """Return the reading of a passage: the best span of its windows, and their best chance."""
    best = max(windows, key=lambda reading: reading.score)
    return replace(best, answerable=max(reading.answerable for reading in windows))
