"""`assistant engine`: run a vLLM server with the settings' model, and see how engines are."""

from __future__ import annotations

import signal
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from assistant.errors import AssistantError

app = typer.Typer(help="Run a vLLM server, or see how the engines are.", no_args_is_help=True)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def serve(context: typer.Context) -> None:
    """Start vLLM with the settings' model; further options go to vLLM. Ctrl-C stops it."""
    from assistant import Settings
    from assistant.engines.serve import serve as run

    # What a service manager or a closed terminal sends is as good as Ctrl-C.
    for told in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(told, signal.default_int_handler)
    sys.exit(run(Settings(), context.args, lambda line: typer.echo(line)))


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the model server's models and queue, and which engine would answer now."""
    from assistant import Settings
    from assistant.embed import load_embedder
    from assistant.engines.base import engine_name
    from assistant.engines.failover import choose_engines
    from assistant.engines.serve import server_status
    from assistant.text import addresses_model

    settings = Settings()
    told: dict[str, Any] = {}
    if settings.vllm_base_url:
        told["server"] = asdict(server_status(settings))
    # The engines alone: the index may be in use by a running server.
    engines = choose_engines(settings, load_embedder(settings), addresses_model)
    try:
        told["engine"] = engine_name(next(engines.candidates()))
        told["problems"] = engines.passed_over()
    except AssistantError as error:
        told |= {"engine": "none", "problems": [str(error)]}
    finally:
        engines.close()
    if as_json:
        import json

        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    server = told.get("server")
    if server:
        typer.secho(f"{'ok' if server['healthy'] else '!!'} ", nl=False, bold=True)
        queue = f", {server['running']} running, {server['waiting']} waiting"
        offered = ", ".join(server["models"]) + (queue if server["running"] is not None else "")
        typer.echo(f"{server['url']}: {offered or server['problem']}")
    typer.echo(f"answers now: {told['engine']}")
    for problem in told["problems"]:
        typer.secho(f"   {problem}", fg="yellow")
