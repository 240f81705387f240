"""The Compose Specification's own loader, which Docker Compose is built on: it knows the schema."""

from __future__ import annotations

import json
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tests.servers.go import go_program

VERSION = "v2.16.2"


@cache
def _loader() -> Path:
    return go_program("compose-spec", "github.com/compose-spec/compose-go/v2/cmd", VERSION, instead="")


def load(text: str) -> dict[str, Any]:
    """What a compose file means. Raises ValueError with what is wrong with it. Variables are left as they are."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "compose.yaml"
        file.write_text(text)
        done = subprocess.run(
            [_loader(), "-no-interpolation", "-format", "json", file],
            check=False, cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
    if done.returncode:
        raise ValueError(done.stderr)
    model: dict[str, Any] = json.loads(done.stdout)
    return model
