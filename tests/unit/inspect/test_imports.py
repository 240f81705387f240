from __future__ import annotations

import importlib
import itertools
from pathlib import Path

import pytest

from freehold import System
from freehold.inspect import Violation, check

numbers = itertools.count()
FILES = {
    "__init__.py": "",
    "auth/__init__.py": "",
    "auth/contract.py": "LIMIT = 3",
    "auth/rules.py": "SECRET = 4",
    "auth/service.py": """
from freehold import Service, public

auth = Service("auth")

@auth.get("/ping", access=public)
async def ping() -> None: ...
""",
    "orders/__init__.py": "",
    "orders/rules.py": "",
    "orders/service.py": """
from freehold import Service, public
from . import rules

orders = Service("orders")

@orders.get("/orders", access=public)
async def orders_list() -> None: ...
""",
    "system.py": """
from freehold import System
from .auth.service import auth
from .orders.service import orders

system = System("shop", services=[auth, orders])
""",
}


def shop(folder: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> tuple[str, list[Violation]]:
    """A system in a folder, with a line in orders/handlers.py; the package's name and what is found."""
    package = f"shop_{next(numbers)}"
    for name, text in {**FILES, "orders/handlers.py": f"\n{line.format(package=package)}\n"}.items():
        path = folder / package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(folder)
    system: System = importlib.import_module(f"{package}.system").system
    return package, check(system)


@pytest.mark.parametrize(
    ("line", "imported"),
    [
        ("from ..auth.rules import SECRET", "auth.rules.SECRET"),
        ("from ..auth import rules", "auth.rules"),
        ("from .. import auth", "auth"),
        ("import {package}.auth.rules", "auth.rules"),
        ("from {package}.auth.rules import *", "auth.rules.*"),
        ("def later() -> None:\n    from {package}.auth import service", "auth.service"),
        ("import importlib\nimportlib.import_module('{package}.auth.rules')", "auth.rules"),
        ("from ..auth.contracts import LIMIT", "auth.contracts.LIMIT"),
    ],
)
def test_an_import_of_anything_but_the_contract_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, imported: str
) -> None:
    package, found = shop(tmp_path, monkeypatch, line)

    assert [(violation.code, violation.where) for violation in found] == [("FH020", f"{package}.orders.handlers")]
    assert f"imports {package}.{imported}," in found[0].message
    assert found[0].file == f"{package}/orders/handlers.py"
    assert found[0].line == 1 + len(line.splitlines())


@pytest.mark.parametrize(
    "line",
    [
        "from ..auth.contract import LIMIT",
        "from ..auth import contract",
        "import {package}.auth.contract as auth_contract",
        "from .rules import *",
        "from . import service",
        "import json",
    ],
)
def test_the_contract_and_the_services_own_modules_may_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    assert shop(tmp_path, monkeypatch, line)[1] == []
