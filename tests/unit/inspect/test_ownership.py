from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from freehold import Portable, Service, System
from freehold.inspect import Violation, check


def base() -> type[DeclarativeBase]:
    class Base(Portable, DeclarativeBase):
        pass

    return Base


def table(owner: type[DeclarativeBase], name: str) -> type[DeclarativeBase]:
    class Row(owner):  # type: ignore[misc, valid-type]
        __tablename__ = name
        id: Mapped[UUID] = mapped_column(primary_key=True)

    return Row


def only(violations: list[Violation]) -> Violation:
    assert len(violations) == 1, [str(violation) for violation in violations]
    return violations[0]


def test_two_services_with_one_base_own_its_tables_twice() -> None:
    shared = base()
    table(shared, "users")

    found = only(check(System("shop", [Service("auth", tables=shared), Service("orders", tables=shared)])))

    assert (found.code, found.severity, found.where) == ("FH001", "error", "auth.users")
    assert "owned by orders as well" in found.message
    assert found.remedy


def test_two_services_may_each_have_a_table_of_the_same_name() -> None:
    first, second = base(), base()
    table(first, "users")
    table(second, "users")

    assert check(System("shop", [Service("auth", tables=first), Service("orders", tables=second)])) == []


def test_two_services_cannot_have_one_database() -> None:
    found = only(check(System("shop", [Service("auth", database="shop_db"), Service("orders", database="shop_db")])))

    assert (found.code, found.where) == ("FH002", "service orders")
    assert "shop_db" in found.message


def test_databases_with_names_of_their_own_are_fine() -> None:
    assert check(System("shop", [Service("auth", database="a"), Service("orders", database="b")])) == []


def test_a_table_cannot_have_the_name_of_one_of_the_toolkits() -> None:
    taken = base()
    table(taken, "outbox_events")

    found = only(check(System("shop", [Service("orders", tables=taken)])))

    assert (found.code, found.where) == ("FH003", "orders.outbox_events")
    assert found.file is not None
    assert found.file.endswith("test_ownership.py")


def test_renaming_the_toolkits_table_makes_room() -> None:
    taken = base()
    table(taken, "outbox_events")

    assert check(System("shop", [Service("orders", tables=taken, table_names={"outbox_events": "outbox"})])) == []
