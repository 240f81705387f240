"""Ten mistakes that teams make, each made in a copy of Booking Rush, and each found by the rule that is there for it."""

from __future__ import annotations

import importlib
import itertools
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from freehold import System
from freehold.testing import verify
from tests.docs.documents import ROOT

ORIGINAL = "systems.booking_rush"
numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Defect:
    """Texts in a file of the system, and what a mistake makes of them."""

    code: str
    file: str
    edits: Mapping[str, str]


DEFECTS = [
    Defect(  # a join that works as long as both services are on one server
        "FH004",
        "ticket/queries.py",
        {
            "select\n\nfrom freehold": "select, text\n\nfrom freehold",
            "LIVING = ": 'SOLD = text("SELECT count(*) FROM bookings b WHERE b.event_id = :event_id")\nLIVING = ',
        },
    ),
    Defect(  # "so that the database sees to it"
        "FH010",
        "payment/tables.py",
        {
            "import CheckConstraint, ": "import CheckConstraint, ForeignKey, ",
            'soft_ref("booking.bookings.id", unique=True, index=False)': (
                'mapped_column(ForeignKey("booking.bookings.id"), unique=True)'
            ),
        },
    ),
    Defect(  # ids were numbers once
        "FH012",
        "payment/tables.py",
        {'user_id: Mapped[UUID] = soft_ref("auth.users.id")\n': 'user_id: Mapped[int] = soft_ref("auth.users.id")\n'},
    ),
    Defect(  # only to spare a call
        "FH020",
        "booking/queries.py",
        {"\n\n\n@booking": "\nfrom systems.booking_rush.ticket.tables import Zone\n\n\n@booking"},
    ),
    Defect(
        "FH030", "ticket/declaration.py", {"        EventCreated,\n        EventPublished": "        EventPublished"}
    ),
    Defect(  # payment asks for the booking before it charges
        "FH042",
        "booking/api.py",
        {
            "(query: GetBooking, tx: Tx) -> BookingInfo:\n": (
                "(query: GetBooking, tx: Tx) -> BookingInfo:\n"
                "    await tx.ask(GetPaymentOfBooking(booking_id=query.booking_id))\n"
            )
        },
    ),
    Defect("FH060", "booking/sagas.py", {"do=reserve, undo=release, ": "do=reserve, "}),
    Defect(  # the booking is reserved, but not by whoever is to charge for it
        "FH065",
        "booking/sagas.py",
        {
            "import BookingConfirmed\n": "import BookingConfirmed, BookingReserved\n",
            "ok=PaymentCompleted": "ok=BookingReserved",
        },
    ),
    Defect(
        "FH070",
        "payment/api.py",
        {'"/payments/booking/{booking_id}", access=user)': '"/payments/booking/{booking_id}")'},
    ),
    Defect(
        "FH101",
        "payment/settings.py",
        {
            'stripe_secret_key: SecretStr = SecretStr("")': 'stripe_secret_key: SecretStr = SecretStr("sk_test_4eC39HqLy")'
        },
    ),
]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the system under a name of its own, and the configuration that it is checked with."""
    name = f"rush_{next(numbers)}"
    copy = tmp_path / name
    shutil.copytree(ROOT / "systems" / "booking_rush", copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "freehold.toml", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield copy
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        del sys.modules[module]


def imported(package: Path) -> System:
    for file in package.rglob("*.py"):
        file.write_text(file.read_text().replace(ORIGINAL, package.name))
    system: System = importlib.import_module(f"{package.name}.system").system
    return system


@pytest.mark.parametrize("defect", DEFECTS, ids=[defect.code for defect in DEFECTS])
def test_the_defect_is_found_by_its_rule_and_by_no_other(defect: Defect, package: Path) -> None:
    file = package / defect.file
    text = file.read_text()
    for before, after in defect.edits.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    file.write_text(text)

    found = verify(imported(package))

    assert {violation.code for violation in found} == {defect.code}, list(map(str, found))
    assert all(violation.file and Path(violation.file).exists() for violation in found)


def test_the_copy_without_a_defect_is_clean(package: Path) -> None:
    assert verify(imported(package)) == []


def test_ten_defects_of_ten_kinds() -> None:
    assert len({defect.code for defect in DEFECTS}) == 10
