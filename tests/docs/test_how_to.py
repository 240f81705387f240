"""The how-to pages: their files are written, imported and, where they are tests, run."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from freehold.deploy.config import read
from freehold.model.system import System
from tests.docs.documents import DOCS, ROOT, blocks, documents, write_files

OWN_TEST = DOCS / "how-to" / "existing-application.md"  # of test_examples.py: it needs a server
PAGES = [page for page in sorted((DOCS / "how-to").glob("*.md")) if page != OWN_TEST]
INI = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\npythonpath = .\n"


def test_every_page_runs_as_printed(tmp_path: Path) -> None:
    files = [file.name for page in PAGES for file in write_files(page, tmp_path)]
    assert len(files) == len(set(files)), "two pages print a file of the same name"
    assert sum(name.startswith("test_") for name in files) >= 9
    (tmp_path / "pytest.ini").write_text(INI)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    modules = sorted(name.removesuffix(".py") for name in files if name.endswith(".py"))
    code = f"import warnings; warnings.simplefilter('error'); import {', '.join(modules)}"
    imported = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert imported.returncode == 0, imported.stderr


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_name_imported_from_freehold_exists(page: Path) -> None:
    for block in blocks(page):
        if block.kind != "python":
            continue
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "freehold":
                module: Any = import_module(node.module or "")
                missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
                assert not missing, f"{node.module} has no {missing}"


def test_every_configuration_that_is_printed_can_be_read(tmp_path: Path) -> None:
    from freehold import Service

    system = System("shop", services=[Service("products"), Service("orders"), Service("payments")])
    printed = 0
    for page in documents():
        for block in blocks(page):
            if block.path == "freehold.toml":
                printed += 1
                (tmp_path / "freehold.toml").write_text(block.text)
                assert read(system, "prod", folder=tmp_path, environment={}).layout == "databases"
    assert printed
