from __future__ import annotations

import inspect
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Portable, Service, System, soft_ref
from freehold.inspect import Violation, check


class AuthBase(Portable, DeclarativeBase):
    pass


class User(AuthBase):
    __tablename__ = "users"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    manager_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))


auth = Service("auth", tables=AuthBase)


def violations(orders: type[DeclarativeBase]) -> list[Violation]:
    return check(System("shop", [auth, Service("orders", tables=orders)]))


def only(orders: type[DeclarativeBase]) -> Violation:
    found = violations(orders)
    assert len(found) == 1, [str(violation) for violation in found]
    return found[0]


class ByName(Portable, DeclarativeBase):
    pass


class OrderByName(ByName):
    __tablename__ = "orders"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))


class BySchema(Portable, DeclarativeBase):
    pass


class OrderBySchema(BySchema):
    __tablename__ = "orders"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("auth.users.id"))


class ByColumn(Portable, DeclarativeBase):
    pass


class OrderByColumn(ByColumn):
    __tablename__ = "orders"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(User.id))


@pytest.mark.parametrize("base", [ByName, BySchema, ByColumn])
def test_a_foreign_key_across_services_is_found_however_it_is_written(base: type[DeclarativeBase]) -> None:
    found = only(base)

    assert (found.code, found.where) == ("FH010", "orders.orders.user_id")
    assert "auth.users.id" in found.message
    assert "soft_ref('auth.users.id')" in found.remedy


def test_it_is_reported_with_file_and_line() -> None:
    found = only(ByColumn)

    assert found.file is not None
    assert found.line is not None
    assert Path(found.file).resolve() == Path(__file__)
    assert "ForeignKey(User.id)" in Path(__file__).read_text().splitlines()[found.line - 1]
    assert found.line > inspect.getsourcelines(OrderByColumn)[1]


class Soft(Portable, DeclarativeBase):
    pass


class SoftOrder(Soft):
    __tablename__ = "orders"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = soft_ref("auth.users.id")


class SoftLine(Soft):
    __tablename__ = "lines"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"))


def test_a_soft_reference_and_a_foreign_key_at_home_are_fine() -> None:
    assert violations(Soft) == []


class Lost(Portable, DeclarativeBase):
    pass


class LostOrder(Lost):
    __tablename__ = "orders"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    service_id: Mapped[UUID] = soft_ref("nobody.users.id")
    table_id: Mapped[UUID] = soft_ref("auth.people.id")
    column_id: Mapped[UUID] = soft_ref("auth.users.key")


def test_a_soft_reference_to_nowhere_says_what_is_missing() -> None:
    found = violations(Lost)

    assert {violation.code for violation in found} == {"FH011"}
    assert {violation.where.rpartition(".")[2]: violation.message.partition(", but ")[2] for violation in found} == {
        "service_id": "there is no service nobody",
        "table_id": "auth has no table people",
        "column_id": "auth.users has no column key",
    }


class Mistyped(Portable, DeclarativeBase):
    pass


class MistypedOrder(Mistyped):
    __tablename__ = "orders"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[str] = soft_ref("auth.users.id", type_=String(36))


def test_a_soft_reference_has_the_type_of_its_target() -> None:
    found = only(Mistyped)

    assert (found.code, found.where) == ("FH012", "orders.orders.user_id")
    assert found.message == "is string(36), and auth.users.id, which it refers to, is uuid"


class Dangling(Portable, DeclarativeBase):
    pass


class DanglingOrder(Dangling):
    __tablename__ = "orders"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    basket_id: Mapped[UUID] = mapped_column(ForeignKey("baskets.id"))


def test_a_foreign_key_to_a_table_that_nobody_has() -> None:
    found = only(Dangling)

    assert (found.code, found.where) == ("FH013", "orders.orders.basket_id")
    assert "baskets.id" in found.message
