"""The README is true: its Python runs, its generated parts are today's.

`make readme` writes the generated parts anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from assistant import Settings
from assistant.surfaces.cli import app

FOLDERS = {"data_dir": "the user's data directory", "cache_dir": "the user's cache"}
NOTHING = ("", "None", "()", "{}")
README = Path(__file__).parents[1] / "README.md"


def commands() -> str:
    """Return a table of the commands, from the command line's own help."""
    rows = ["| command | what it does |", "|---|---|"]
    for name, command in listed(typer.main.get_command(app)):
        options = [
            f"`{'`/`'.join(option.opts)}`"
            for option in command.params
            if option.param_type_name == "option" and option.name != "help"
        ]
        text = (command.help or "").strip().splitlines()[0]
        rows.append(f"| `assistant {name}` {' '.join(options)} | {text} |")
    return "\n".join(rows)


def settings() -> str:
    """Return a table of the settings, from the class that reads them."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        value = str(field.get_default(call_default_factory=True))
        default = FOLDERS.get(name) or (f"`{value}`" if value not in NOTHING else "–")
        rows.append(f"| `{name}` | {default} | {field.description} |")
    return "\n".join(rows)


def listed(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command with its whole name, those of sub-groups in their place."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from listed(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


GENERATED = {"cli": commands, "settings": settings}


@pytest.mark.parametrize("part", GENERATED)
def test_the_generated_parts_are_todays(part: str) -> None:
    text = README.read_text("utf-8")
    expected = f"<!-- {part} -->\n{GENERATED[part]()}\n<!-- /{part} -->"
    if os.environ.get("UPDATE_README"):
        pattern = rf"<!-- {part} -->(?:.*?<!-- /{part} -->)?"
        text = re.sub(pattern, lambda _: expected, text, count=1, flags=re.DOTALL)
        README.write_text(text, "utf-8")
    assert expected in text, "the README is out of date: run `make readme`"


def test_the_python_examples_run_one_after_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "brief.zh.md" in printed
    assert "('leave.md',) ()" in printed
    assert "**十五天**带薪年假[1]。" in printed
    assert "sources" in printed
    assert "answer" in printed


def test_the_files_it_names_exist() -> None:
    for path in re.findall(
        r"`((?:evals|tests|knowledge|prompts|assistant)/[\w./-]+)`", README.read_text("utf-8")
    ):
        assert (README.parent / path).exists(), path


def test_every_command_explains_itself() -> None:
    for name, _ in listed(typer.main.get_command(app)):
        shown = CliRunner().invoke(app, [*name.split(), "--help"])
        assert shown.exit_code == 0
        assert "Usage" in shown.stdout
