"""`assistant adapt`: each command translates its arguments, calls `assistant.adapt`, and prints.

torch and PEFT are imported inside the commands alone.
"""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assistant.errors import ConfigurationError

if TYPE_CHECKING:
    from assistant.adapt.registry import Registry

_LIBRARIES = ("torch", "transformers", "peft", "gguf", "sklearn", "scipy")

app = typer.Typer(
    help="Teach the small models with your own questions: collect, process, train, measure.",
    no_args_is_help=True,
)

Kind = Annotated[str, typer.Argument(help="What was taught: reader or writer.")]


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A YAML file, or a recipe that ships.")],
    work: Annotated[
        Path | None, typer.Option("--work", help="Where each stage leaves its result.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an earlier run.")] = False,
) -> None:
    """Run a recipe from its sources to a registered model, which is used if it is no worse."""
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"Teaching needs {', '.join(missing)}. Run: pip install 'strategy-assistant[train]'"
        )
    from assistant.adapt.recipe import load_recipe
    from assistant.adapt.run import adapt
    from assistant.settings import Settings

    settings, chosen = Settings(), load_recipe(Path(recipe))
    folder = work or settings.cache_dir / "adapt" / chosen.name
    began = time.monotonic()

    def tell(line: str) -> None:
        typer.echo(f"{time.monotonic() - began:7.0f} s  {line}")

    made = adapt(chosen, settings, folder, tell, resume=resume)
    for name, why in made.refusals.items():
        typer.echo(f"Not in use, since it is worse by {name}: {why}")
    typer.secho(f"\n{made.folder}", bold=True)


@app.command("list")
def listing(kind: Kind = "reader") -> None:
    """List what was taught, oldest first, and mark what is in use."""
    registry = _registry()
    current = registry.current(kind)
    for folder in registry.all(kind):
        typer.echo(f"{'*' if folder == current else ' '} {folder.name}  {folder}")


@app.command()
def use(
    name: Annotated[str, typer.Argument(help="A name that `assistant adapt list` shows.")],
    kind: Kind = "reader",
) -> None:
    """Put a registered model to use."""
    registry = _registry()
    registry.adopt(kind, registry.folder(kind, name))
    typer.echo(f"{name} is in use.")


@app.command("roll-back")
def roll_back(kind: Kind = "reader") -> None:
    """Go back to the model that was in use before."""
    before = _registry().roll_back(kind)
    typer.echo(f"{before.name} is in use." if before else f"No {kind} is in use now.")


@app.command()
def watch(
    days: Annotated[int, typer.Option("--days", min=1, help="How far back to look.")] = 90,
    kind: Kind = "reader",
) -> None:
    """Tell whether what is asked has drifted from what the model in use was taught on."""
    from assistant.adapt.watch import REFERENCE_FILE, Reference, drift
    from assistant.conversation import ConversationStore
    from assistant.embed import load_embedder
    from assistant.settings import Settings
    from assistant.usage import first_day

    settings = Settings()
    folder = _registry().current(kind)
    if folder is None:
        raise ConfigurationError(f"No {kind} is in use. Teach one: assistant adapt run RECIPE.")
    store = ConversationStore(settings.data_dir)
    asked = store.questions_since(first_day(days))
    store.close()
    embed = load_embedder(settings).embed_question
    found = drift(Reference.read(folder / REFERENCE_FILE), asked, embed)
    typer.echo(
        f"{found.questions} questions in {days} days. Stability index (below 0.1 stable, above "
        f"0.25 shifted): nearness to the training questions {found.nearness:.2f}, confidence of "
        f"the later half against the earlier {found.confidence:.2f}."
    )
    typer.secho(f"{folder.name}: {found.verdict}", bold=True)


def _registry() -> Registry:
    from assistant.adapt.registry import Registry, registry_folder
    from assistant.settings import Settings

    return Registry(registry_folder(Settings().data_dir))
