"""The house's own rules: which room may import which, and what the linter itself cannot see."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "src" / "freehold", ROOT / "systems")
LONGEST = 420
LINT = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "src"), str(folder)])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / ".importlinter", folder)
    for name in ("src", "systems"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return folder


def test_imports_go_downwards_only(copy: Path) -> None:
    found = lint(copy)

    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("file", "line", "told"),
    [
        ("src/freehold/model/added.py", "import freehold.runtime.host", "freehold.model is not allowed to import"),
        ("src/freehold/runtime/added.py", "from freehold.deploy import config", "freehold.runtime is not allowed"),
        ("src/freehold/engines/added.py", "import freehold.buses.local", "freehold.engines is not allowed to import"),
        ("src/freehold/runtime/added.py", "from freehold import Service", "is not allowed to import freehold"),
        ("src/freehold/attic/__init__.py", "", "freehold.attic"),
        ("systems/added.py", "from freehold.runtime import host", "systems is not allowed to import freehold.runtime"),
    ],
)
def test_an_import_that_breaks_them_is_refused(copy: Path, file: str, line: str, told: str) -> None:
    bad = copy / file
    new_room = not bad.parent.exists()
    bad.parent.mkdir(exist_ok=True)
    bad.write_text(line)
    try:
        found = lint(copy)
    finally:
        shutil.rmtree(bad.parent) if new_room else bad.unlink()

    assert found.returncode == 1
    assert told in found.stdout


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_folder_with_code_is_a_package(package: Path) -> None:
    """The import linter does not look into folders without an __init__.py."""
    folders = {file.parent for file in package.rglob("*.py")} - {ROOT / "systems"}

    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_no_file_is_too_long_to_read(package: Path) -> None:
    # A history's first revision lists every table of its service, and is written by a command.
    files = [file for file in package.rglob("*.py") if file.parent.name != "migrations"]
    lengths = {file: len(file.read_text().splitlines()) for file in files}

    assert {str(file): lines for file, lines in lengths.items() if lines > LONGEST} == {}
