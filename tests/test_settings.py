from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from assistant import Settings
from assistant.errors import ConfigurationError


def test_the_environment_goes_before_the_file_before_the_defaults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "assistant.toml").write_text('top_k = 5\nengine = "extractive"\n', "utf-8")
    monkeypatch.setenv("ASSISTANT_TOP_K", "6")
    settings = Settings()
    assert (settings.top_k, settings.engine, settings.candidates) == (6, "extractive", 50)


def test_another_file_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("top_k = 4\n", "utf-8")
    monkeypatch.setenv("ASSISTANT_CONFIG", str(tmp_path / "other.toml"))
    assert Settings().top_k == 4


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().top_k = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("top_k = 0\n", "ASSISTANT_TOP_K"),
        ("tok_k = 3\n", "is not a setting"),
        ("dense_weight = 1.5\n", "dense_weight"),
        ("top_k =\n", "not valid TOML"),
    ],
)
def test_a_bad_value_is_named_with_where_to_set_it(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "assistant.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=message):
        Settings()


def test_every_setting_says_what_it_means() -> None:
    assert all(field.description for field in Settings.model_fields.values())
