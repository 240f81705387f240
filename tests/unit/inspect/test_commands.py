"""Commands that a service's code makes, which no declaration tells of."""

from __future__ import annotations

import importlib
import itertools
from pathlib import Path

import pytest

from freehold import System
from freehold.inspect import Violation, check

numbers = itertools.count()
CONTRACT = """
from freehold import Command

class Ship(Command, name="order.ship", key="order_id"):
    order_id: int
"""
SERVICE = """
from freehold import Service, System, Tx, user
{imported}

orders, vans = Service("orders"), Service("vans")

@orders.post("/orders/{{id}}/ship", access=user)
async def ship(id: int, tx: Tx) -> None:
    {sends}

async def carry_out(command: contract.Ship, tx: Tx) -> None: ...

{handled}
system = System("shop", services=[orders, vans])
"""


def found(
    folder: Path, monkeypatch: pytest.MonkeyPatch, imported: str, sends: str, *, handled: bool
) -> list[Violation]:
    package = f"yard_{next(numbers)}"
    service = SERVICE.format(
        imported=f"from {package} import contract\n{imported.format(package=package)}",
        sends=sends,
        handled="vans.handles(contract.Ship)(carry_out)" if handled else "",
    )
    for name, text in {"__init__.py": "", "contract.py": CONTRACT, "system.py": service}.items():
        path = folder / package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(folder)
    system: System = importlib.import_module(f"{package}.system").system
    return check(system)


@pytest.mark.parametrize(
    ("imported", "sends"),
    [
        ("from {package}.contract import Ship", "tx.send(Ship(order_id=id))"),
        ("", "tx.send(contract.Ship(order_id=id))"),
        ("from {package}.contract import Ship as Deliver", "order = Deliver(order_id=id); tx.send(order)"),
    ],
)
def test_a_service_sends_a_command_that_nobody_carries_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, imported: str, sends: str
) -> None:
    (violation,) = found(tmp_path, monkeypatch, imported, sends, handled=False)
    assert violation.code == "FH050"
    assert violation.where.endswith(".system")
    assert violation.message == "makes order.ship, which no service carries out"
    assert (violation.line or 0) > 8
    assert found(tmp_path, monkeypatch, imported, sends, handled=True) == []


def test_a_mere_mention_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(tmp_path, monkeypatch, "", "print(contract.Ship, len(str(id)))", handled=False) == []
