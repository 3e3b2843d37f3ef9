"""Opens a sentence-transformers model from its folder, on the device and in the precision set.

torch and sentence-transformers have their home here and in `embed`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.errors import ModelError
from assistant.model_files import EMBEDDED, cpu_dtype, prepare_environment
from assistant.settings import Settings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def load_encoder(folder: Path, settings: Settings) -> SentenceTransformer:
    """Return the model in ``folder``.

    Raises:
        ModelError: the folder is damaged, or the device or the precision does not suit.
    """
    prepare_environment()
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import get_device_name

    wanted = settings.embedding_device
    device = get_device_name() if wanted == "auto" else wanted
    dtype = cpu_dtype(settings)
    if settings.embedding_dtype == "auto" and device != "cpu":
        fast = device.startswith("cuda") and torch.cuda.is_bf16_supported()
        dtype = "bfloat16" if fast else "float32"
    try:
        with no_progress_bar():
            return SentenceTransformer(
                str(folder),
                device=device,
                local_files_only=True,
                model_kwargs={"dtype": getattr(torch, dtype)},
            )
    except Exception as error:  # each library raises its own
        embedded = settings.embedding_model == EMBEDDED
        remedy = "Delete it: it is unpacked anew" if embedded else "Check the folder"
        raise ModelError(
            f"The embedding model in {folder} does not load on {device!r} as {dtype}: {error}. "
            f"{remedy}, or set ASSISTANT_EMBEDDING_DEVICE and ASSISTANT_EMBEDDING_DTYPE to `auto`."
        ) from error


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Keep the library from drawing a bar for the half second that loading takes."""
    from transformers.utils import logging

    bars: Any = logging  # untyped
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()
