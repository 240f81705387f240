"""What operators see of references that lead nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Freehold

SHELF = """
from uuid import UUID

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Portable, Service, System, Work, soft_ref


class Shelves(Portable, DeclarativeBase): ...


class Desk(Portable, DeclarativeBase): ...


class Book(Shelves):
    __tablename__ = "books"
    id: Mapped[UUID] = mapped_column(primary_key=True)


class Loan(Desk):
    __tablename__ = "loans"
    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[UUID | None] = soft_ref("shelves.books.id", on_missing="nullify")
    kept_id: Mapped[UUID | None] = soft_ref("shelves.books.id")


async def load(works, which, progress):
    async with works["desk"].transaction() as tx:
        tx.add(Loan(id=1, book_id=UUID(int=1)))
        tx.add(Loan(id=2, kept_id=UUID(int=2)))


system = System(
    "library", services=[Service("shelves", tables=Shelves), Service("desk", tables=Desk)],
    data_sets="systems.library.system:load",
)
"""


@pytest.fixture
def library(folder: Path) -> None:
    package = folder / "systems" / "library"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "system.py").write_text(SHELF)


@pytest.mark.usefixtures("library")
def test_orphans_are_told_repaired_and_counted(freehold: Freehold) -> None:
    assert freehold("load", "library", "demo").returncode == 0
    told = freehold("reconcile", "library")
    assert told.returncode == 1, told.stderr
    assert (
        "found: desk.loans.book_id refers to shelves.books.id 00000000-0000-0000-0000-000000000001, which is gone; "
        "row id=1, of unknown age (nullify)" in told.stdout
    )
    assert told.stdout.endswith("library: 1 found, 1 kept\n")
    lines = [json.loads(line) for line in freehold("reconcile", "library", "--json").stdout.splitlines()]
    assert {(line["reference"], line["policy"], line["repaired"], line["age_seconds"]) for line in lines} == {
        ("desk.loans.book_id", "nullify", False, None),
        ("desk.loans.kept_id", "keep", False, None),
    }
    mended = freehold("reconcile", "library", "--repair")
    assert (mended.returncode, mended.stdout.splitlines()[-1]) == (0, "library: 1 kept, 1 repaired")
    after = freehold("reconcile", "library")
    assert (after.returncode, after.stdout.splitlines()[-1]) == (0, "library: 1 kept")


def test_a_grace_that_is_none_is_refused(freehold: Freehold) -> None:
    refused = freehold("reconcile", "shop", "--grace", "soon")
    assert refused.returncode == 2
    assert "--grace" in refused.stderr
    assert "10m" in refused.stderr
