"""`freehold events`, `revision`, `migrate`, `drift`: a system from one version to the next, on SQLite files."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from textwrap import dedent

import pytest
from sqlalchemy import text

from freehold import ConfigurationError
from freehold.cli.systems import find_system
from freehold.deploy.config import Deployment, ServiceDeployment, read
from freehold.deploy.process import Process
from tests.unit.cli.conftest import Freehold, forget_systems

CONTRACT = """
    from uuid import UUID
    from typing import Any
    from freehold import Event

    class OrderPlaced(Event, name="order.placed", topic="orders", key="order_id"{version}):
        order_id: UUID
        {field}
"""
TABLES = """
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
    from freehold import Portable

    class Base(Portable, DeclarativeBase):
        pass

    class Order(Base):
        __tablename__ = "orders"
        id: Mapped[int] = mapped_column(primary_key=True)
        {column}
"""
SYSTEM = """
    from freehold import Service, System
    from systems.store.orders.contract import OrderPlaced
    from systems.store.orders.tables import Base

    system = System("store", services=[Service("orders", tables=Base, publishes=[OrderPlaced])])
"""


class Project:
    def __init__(self, folder: Path) -> None:
        self.package = folder / "systems" / "store"
        (self.package / "orders").mkdir(parents=True)
        self.write("system.py", SYSTEM)
        self.publishes("total: str")
        self.keeps("total: Mapped[str]")

    def write(self, name: str, text: str) -> None:
        (self.package / name).write_text(dedent(text))

    def publishes(self, field: str, version: str = "") -> None:
        self.write("orders/contract.py", CONTRACT.format(field=field, version=version))

    def keeps(self, column: str) -> None:
        self.write("orders/tables.py", TABLES.format(column=column))


@pytest.fixture
def project(folder: Path, freehold: Freehold, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr("sys.dont_write_bytecode", True)  # files change within a second
    return Project(folder)


def test_the_lock_takes_up_what_every_reader_can_live_with(project: Project, freehold: Freehold) -> None:
    assert freehold("events", "diff", "store").stdout == "new\torder.placed\t1\t\tis not in the lock\n"
    assert freehold("events", "lock", "store").returncode == 0
    assert freehold("events", "diff", "store").stdout == ""
    project.publishes('total: str\n        note: str = ""')
    assert "FH034 warning" in freehold("check", "store").stdout
    done = freehold("events", "diff", "store")
    assert (done.returncode, done.stdout) == (0, "compatible\torder.placed\t1\tnote\twas added with a default\n")
    assert freehold("events", "lock", "store").returncode == 0
    assert "FH034" not in freehold("check", "store").stdout


def test_the_lock_refuses_the_rest_and_writes_nothing(project: Project, freehold: Freehold) -> None:
    freehold("events", "lock", "store")
    lock = project.package / "events.lock"
    before = lock.read_text()
    project.publishes("total: int")
    done = freehold("events", "lock", "store")
    assert done.returncode == 1
    assert done.stdout == (
        "order.placed version 1: total was string and is int. "
        "Declare version=2, and what 1 means by upcast(1)\n"
    )  # fmt: skip
    assert lock.read_text() == before
    assert json.loads(freehold("events", "diff", "store", "--json").stdout)[0]["verdict"] == "incompatible"
    checked = freehold("check", "store")
    assert checked.returncode == 1
    assert "systems/store/orders/contract.py:6: FH033 error" in checked.stdout
    project.publishes("total: int", ", version=2")
    assert freehold("events", "lock", "store").returncode == 0
    assert "FH035 error: order.placed is of version 2, and what version 1 says" in freehold("check", "store").stdout


def test_a_column_comes_and_another_goes(project: Project, freehold: Freehold) -> None:
    assert freehold("revision", "store", "orders", "-m", "initial").stdout.endswith("migrations/0001_initial.py\n")
    assert freehold("migrate", "store").stdout.startswith("orders\t0001\t-\tsqlite:")
    project.keeps("cents: Mapped[int | None]")
    drifted = freehold("drift", "store")
    assert drifted.returncode == 1
    assert drifted.stdout.splitlines() == [
        "orders: missing column: orders.cents", "orders: extra column: orders.total", "2 differences",
    ]  # fmt: skip
    written = freehold("revision", "store", "orders", "--message", "cents").stdout.splitlines()
    assert [Path(line).name for line in written] == ["0002_cents.py", "0003_cents_contract.py"]

    plan = freehold("migrate", "store", "--plan").stdout
    assert (
        "orders: orders 0002_cents\n  add column orders.cents\n      ALTER TABLE orders ADD COLUMN cents INTEGER;\n"
        in plan
    )
    assert (
        "orders: orders 0003_cents_contract, contract\n  drop column orders.total  -- contract: a column goes" in plan
    )
    assert freehold("migrate", "store").stdout.splitlines()[1] == (
        "orders: 0003_cents_contract waits: drop column orders.total, and a column goes that they use. Run it by --contract"
    )
    assert freehold("migrate", "store", "--contract").stdout.startswith("orders\t0003\t0003_cents_contract\t")
    assert freehold("migrate", "store", "--plan").stdout == "Nothing is to be done\n"
    assert freehold("drift", "store").stdout == "Every database is as the models say\n"
    assert freehold("revision", "store", "orders", "-m", "more").stdout.startswith("The history says all")


def test_a_plan_makes_no_table(project: Project, freehold: Freehold) -> None:
    for _ in range(2):  # the second finds what the first has left
        assert freehold("migrate", "store", "--plan").stdout.startswith("orders: tables are made as the models say")


def test_a_command_on_a_database_that_is_behind_is_refused(project: Project, freehold: Freehold) -> None:
    freehold("revision", "store", "orders", "-m", "initial")
    freehold("migrate", "store")
    project.keeps("total: Mapped[str]\n        note: Mapped[str | None]")
    freehold("revision", "store", "orders", "-m", "a note")
    done = freehold("dead-letters", "list", "store", "orders")
    assert done.returncode == 2
    assert "is 1 revision behind (0002_a_note). Run `freehold migrate`; with --plan it shows first" in done.stderr
    freehold("migrate", "store")
    assert freehold("dead-letters", "list", "store", "orders").returncode == 0


async def test_embedded_files_go_on_by_themselves_and_others_are_refused(
    project: Project, freehold: Freehold, folder: Path
) -> None:
    """`freehold run` on a developer's machine; the same with a database that other processes may be using."""
    write = partial(asyncio.to_thread, freehold, "revision", "store", "orders", "-m")
    await write("initial")
    async with Process(find_system("store"), read(find_system("store"))) as process:
        engine = process.units["orders"].host.engine
        async with engine.write() as connection:
            await connection.execute(text("INSERT INTO orders (id, total) VALUES (1, '9.00')"))
    project.keeps("total: Mapped[str]\n        note: Mapped[str | None]")
    await write("a note")
    forget_systems()
    system = find_system("store")
    file = f"sqlite:///{folder}/.freehold/store/orders_db.sqlite"
    shared = Deployment(layout="databases", services={"orders": ServiceDeployment(database=file)})
    with pytest.raises(ConfigurationError, match=r"1 revision behind \(0002_a_note\)"):
        async with Process(system, shared):
            pass
    async with Process(system, read(system)) as process:
        engine = process.units["orders"].host.engine
        async with engine.read() as connection:
            assert (await connection.execute(text("SELECT total, note FROM orders"))).all() == [("9.00", None)]
