"""Generated requests against the OpenAPI schema of a real server: `make api`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from serving import serving

# Long work, a change of engine, and a 503 that is the answer.
LEFT_OUT = ("/v1/reindex", "/v1/engine", "/readyz")
EXAMPLES = 40
SEED = 20261124


@pytest.mark.api
@pytest.mark.enable_socket
def test_the_api_keeps_its_schema(tmp_path: Path, papers: Path) -> None:
    """No server error, no undocumented status, type or shape, whatever is sent."""
    schemathesis = shutil.which("st", path=Path(sys.executable).parent)
    assert schemathesis, "pip install schemathesis"
    with serving(tmp_path / "data", requests_per_minute="1000000") as server:
        command = [
            schemathesis,
            "run",
            f"{server.address}/v1/openapi.json",
            "--checks=not_a_server_error,status_code_conformance,content_type_conformance,"
            "response_schema_conformance,negative_data_rejection",
            f"--max-examples={EXAMPLES}",
            f"--seed={SEED}",
            "--continue-on-failure",
            "--phases=examples,coverage,fuzzing",  # stateful misjudges forms
            "--request-timeout=30",
            "--suppress-health-check=all",
            "--no-color",
            *(f"--exclude-path={path}" for path in LEFT_OUT),
        ]
        run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2_000:]
