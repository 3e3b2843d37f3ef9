"""The package as it is installed: its public names, its data, and its silence on the network."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import assistant
from assistant.settings import data_folder

ROOT = Path(__file__).parents[1]

JOURNEY = """
import sys, tempfile, pathlib
tried = []
sys.addaudithook(lambda event, args: event in ("socket.connect", "socket.getaddrinfo",
    "socket.sendto") and tried.append((event, args[1:] if event == "socket.connect" else args)))
from assistant import Assistant, Settings
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "leave.md").write_text("# 休假制度\\n\\n员工每年享有十五天带薪年假。", "utf-8")
with Assistant(Settings(data_dir=folder / "data", engine=sys.argv[1])) as a:
    a.ingest(folder / "leave.md")
    a.ask("员工每年有几天年假？")
    a.health()
def counter(protocol, name):
    lines = [l.split() for l in open("/proc/net/snmp") if l.startswith(protocol + ":")]
    return int(lines[1][lines[0].index(name)])
if len(sys.argv) > 2:
    tried += [n for p, n in (("Tcp", "ActiveOpens"), ("Udp", "OutDatagrams")) if counter(p, n)]
print("tried", tried)
"""


def test_every_public_name_is_there_and_nothing_else() -> None:
    for name in assistant.__all__:
        assert getattr(assistant, name) is not None
    assert sorted(assistant.__all__) == assistant.__all__ or set(assistant._HOMES) < set(
        assistant.__all__
    )
    with pytest.raises(AttributeError, match="no attribute 'Answers'"):
        _ = assistant.Answers  # type: ignore[attr-defined]


def test_the_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == assistant.__version__
    assert f"## {assistant.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_wheel_carries_prompts_and_knowledge() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["force-include"] == {
        name: f"assistant/_data/{name}" for name in ("knowledge", "prompts")
    }
    assert (data_folder("prompts") / "answer.yaml").exists()
    assert (data_folder("knowledge") / "guidance").is_dir()


def test_every_dependency_is_pinned() -> None:
    pins = (ROOT / "constraints.txt").read_text("utf-8").lower().replace("_", "-")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in ("embedded", "web", "slack", "eval", "dev"):
        wanted += project["optional-dependencies"][extra]
    for requirement in wanted:
        name = requirement.split(">")[0].split("=")[0].strip().lower().replace("_", "-")
        assert f"\n{name}==" in pins, name


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_guidance_has_provenance_and_a_twin(language: str) -> None:
    chapters = sorted((data_folder("knowledge") / "guidance" / language).glob("*.md"))
    assert len(chapters) >= 15
    for chapter in chapters:
        front = yaml.safe_load(chapter.read_text("utf-8").split("---\n")[1])
        assert front["title"]
        assert front["source"]
        assert front["language"] == language
        twin = chapter.parents[1] / ("en" if language == "zh" else "zh") / chapter.name
        assert twin.exists()


@pytest.mark.parametrize("engine", ["auto", "llamacpp"])
def test_the_default_path_opens_no_connection(engine: str) -> None:
    command = [sys.executable, "-c", JOURNEY, engine]
    # In a network of its own, without any interface, the kernel counts what native code tries.
    apart = shutil.which("unshare")
    probe = [apart or "unshare", "-rn", "true"]
    if apart and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
        command = [apart, "-rn", *command, "counted"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("tried []")
