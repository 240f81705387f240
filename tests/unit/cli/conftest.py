from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from types import ModuleType

import pytest

from freehold.cli import main

Freehold = Callable[..., CompletedProcess[str]]
COMMAND = Path(sys.executable).with_name("freehold")
PACKAGES = ("systems", "shop", "broken")

SYSTEM = """
from freehold import Service, System, public

orders = Service("orders")
auth = Service("auth"{more})

@orders.get("/hello", access=public)
async def hello() -> str:
    return "hello"

system = System("shop", services=[orders, auth])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with two systems: shop, which is well, and broken, which is not."""
    for name, more in (("shop", ""), ("broken", ', database="orders_db"')):
        package = tmp_path / "systems" / name
        package.mkdir(parents=True)
        for folder in (package, package.parent):
            (folder / "__init__.py").touch()
        (package / "system.py").write_text(SYSTEM.format(more=more))
    return tmp_path


@pytest.fixture
def command(folder: Path) -> Freehold:
    """Runs the installed command in the project, as a process of its own."""

    def run(*arguments: str) -> CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments],
            cwd=folder,
            env={name: value for name, value in os.environ.items() if not name.startswith("FREEHOLD_")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def freehold(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], other_systems: None
) -> Freehold:
    """The same in this process, which spares every test a second of imports."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in os.environ:
        if name.startswith("FREEHOLD_"):
            monkeypatch.delenv(name)

    def run(*arguments: str) -> CompletedProcess[str]:
        forget_systems()
        monkeypatch.setattr(sys, "argv", ["freehold", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        return CompletedProcess(arguments, int(end.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def other_systems() -> Iterator[None]:
    """Puts modules back that have the names of the project's."""
    before = forget_systems()
    yield
    forget_systems()
    sys.modules.update(before)


def forget_systems() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.split(".")[0] in PACKAGES]
    return {name: sys.modules.pop(name) for name in names}
