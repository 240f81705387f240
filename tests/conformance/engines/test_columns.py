"""The portable columns as declarations and as fields of events; no database is needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold.model.columns import Money, Point, Portable, Timestamp, round_money
from freehold.model.errors import DeclarationError
from freehold.model.ids import uuid7
from freehold.model.soft_refs import soft_ref, soft_ref_of
from freehold.model.type_names import describe_type
from tests.conformance.engines.tables import Base, Order

pytestmark = pytest.mark.guarantee("G9")

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


class Placed(BaseModel):
    total: Money
    at: Timestamp = NOON
    place: Point | None = None


def test_an_event_carries_money_as_text_and_times_in_utc() -> None:
    event = Placed.model_validate({"total": "10.5", "at": "2024-01-01T14:00:00+02:00", "place": [1.0, 2.0]})
    assert event.model_dump_json() == '{"total":"10.50","at":"2024-01-01T12:00:00Z","place":[1.0,2.0]}'
    assert Placed.model_validate_json(event.model_dump_json()) == event


@pytest.mark.parametrize(
    "values",
    [{"total": "1.234"}, {"total": "NaN"}, {"total": "10000000000"}, {"total": 1, "at": "2024-01-01T00:00:00"}],
)
def test_an_event_refuses_what_the_column_would(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Placed.model_validate(values)


def test_money_is_rounded_half_up() -> None:
    rounded = [str(round_money(Decimal(value))) for value in ("1.005", "1.0049", "-1.005", "2")]
    assert rounded == ["1.01", "1.00", "-1.01", "2.00"]


def test_columns_are_described_by_the_contracts_names() -> None:
    described = {column.name: describe_type(column.type) for column in Order.__table__.columns}
    assert described == {
        "id": ("uuid", None), "user_id": ("uuid", None), "total": ("decimal(12,2)", None),
        "at": ("timestamptz", None), "starts": ("timetz", None), "document": ("json", None), "tags": ("json", None),
        "raw": ("json", None), "status": ("enum", ["open", "paid"]), "colour": ("enum", ["red", "blue"]),
        "address": ("inet", None), "place": ("point", None), "secret": ("bytes", None), "anything": ("json", None),
    }  # fmt: skip


def test_a_soft_reference_is_indexed_and_no_foreign_key() -> None:
    column = Base.metadata.tables["orders"].c.user_id
    reference = soft_ref_of(column)
    assert reference is not None
    assert (reference.service, reference.table, reference.column) == ("auth", "users", "id")
    assert reference.on_missing == "nullify"
    assert column.index
    assert not column.foreign_keys
    assert soft_ref_of(Base.metadata.tables["lines"].c.order_id) is None


@pytest.mark.parametrize(
    ("target", "on_missing"), [("users.id", "keep"), ("a.b.c.d", "keep"), ("auth.users.id", "explode")]
)
def test_a_malformed_soft_reference_is_refused(target: str, on_missing: Any) -> None:
    with pytest.raises(DeclarationError, match="soft_ref"):
        soft_ref(target, on_missing=on_missing)


def test_each_service_has_tables_of_its_own_and_bare_decimals_are_refused() -> None:
    class First(Portable, DeclarativeBase):
        pass

    class Second(Portable, DeclarativeBase):
        pass

    assert First.metadata is not Second.metadata
    with pytest.raises(DeclarationError, match="a bare Decimal does not say"):

        class Thing(First):
            __tablename__ = "things"
            price: Mapped[Decimal] = mapped_column(primary_key=True)


def test_identifiers_grow_and_carry_their_time() -> None:
    made = [uuid7() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert {identifier.version for identifier in made} == {7}
    earlier, later = uuid7(NOON), uuid7(NOON + timedelta(milliseconds=1))
    assert (earlier.int >> 80, later.int >> 80) == (1_704_110_400_000, 1_704_110_400_001)
    assert uuid7(NOON) > later  # a clock that goes back a little does not undo the order
