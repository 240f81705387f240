"""What goes into a database comes out as it was, on every engine; and inserts meet the rows that are there."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, case, func, insert, select
from sqlalchemy.exc import CompileError, IntegrityError, StatementError
from sqlalchemy.ext.asyncio import AsyncSession

from freehold.model.columns import Coordinates
from freehold.model.ids import uuid7
from freehold.model.listed import listed
from freehold.model.ports import Engine
from tests.conformance.engines.tables import Colour, Counter, Line, Order

pytestmark = pytest.mark.guarantee("G9")

counters: Table = Counter.__table__  # type: ignore[assignment]
orders: Table = Order.__table__  # type: ignore[assignment]

FULL: dict[str, Any] = {
    "user_id": UUID("018f0000-0000-7000-8000-000000000001"),
    "total": Decimal("1234567890.12"),
    "at": datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=7))),
    "starts": time(19, 30, tzinfo=timezone(timedelta(hours=7))),
    "document": {"b": [1, 2.5, None, "ü"], "a": {"nested": True}},
    "tags": ["x", "y"],
    "raw": '{"b":  1,"a":"ü", "b": 1.10}',
    "status": "paid",
    "colour": Colour.BLUE,
    "address": "2001:db8::1",
    "place": Coordinates(106.660172, 10.762622),
    "secret": b"\x00\xff",
    "anything": [1, [2]],
}


async def insert_order(engine: Engine, **values: Any) -> Any:
    async with engine.write() as connection:
        await connection.execute(insert(Order).values(**values))
    async with engine.read() as connection:
        return (await connection.execute(select(Order.__table__))).one()


async def test_every_type_comes_back_as_it_went_in(engine: Engine) -> None:
    row = await insert_order(engine, **FULL)
    for name, value in FULL.items():
        assert getattr(row, name) == value, name
    assert row.at.tzinfo is UTC or row.at.utcoffset() == timedelta(0)
    assert row.starts.utcoffset() == timedelta(hours=7)
    assert isinstance(row.place, Coordinates)
    assert row.total.as_tuple().exponent == -2


async def test_members_of_a_document_come_back_in_one_order_everywhere(engine: Engine) -> None:
    document = {"zeta": {"bb": 1, "a": [{"y": 1, "x": 2}]}, "É": 1, "b": 2, "alpha": 3}
    row = await insert_order(engine, total=Decimal(1), document=document)
    assert json.dumps(row.document, ensure_ascii=False) == (
        '{"b": 2, "É": 1, "zeta": {"a": [{"x": 2, "y": 1}], "bb": 1}, "alpha": 3}'
    )


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("user_id", UUID("018f0000-0000-7000-8000-000000000002")),
        ("total", Decimal("1234567890.13")),
        ("at", datetime(2024, 2, 29, tzinfo=UTC)),
        ("status", "open"),
        ("colour", Colour.RED),
        ("address", "10.0.0.1"),
    ],
)
async def test_a_statement_asks_for_each_of_any_number_of_values(engine: Engine, name: str, other: Any) -> None:
    async with engine.write() as connection:
        await connection.execute(insert(Order), [FULL, FULL])
    column, value = getattr(Order, name), FULL[name]
    for values in ([value, other, value], [], [other]):
        each = listed(values, like=column)
        found = select(func.count()).where(column == each.c.value).scalar_subquery()
        async with engine.read() as connection:
            rows = (await connection.execute(select(each.c.value, found))).all()
        assert [tuple(row) for row in rows] == [(each, 0 if each == other else 2) for each in values]


async def test_every_type_may_be_null(engine: Engine) -> None:
    row = await insert_order(engine, total=Decimal(0))
    assert [name for name in FULL if getattr(row, name) is not None] == ["total", "status"]


async def test_an_orm_object_keeps_its_types(engine: Engine) -> None:
    async with engine.write() as connection, AsyncSession(connection) as session:
        order = Order(**FULL)
        session.add(order)
        await session.flush()
        await session.refresh(order)
        assert {name: getattr(order, name) for name in FULL} == FULL


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("total", 1.5, "is not exact"),
        ("total", Decimal("1.005"), "more than 2 decimals"),
        ("total", Decimal("NaN"), "more than 2 decimals"),
        ("total", Decimal("10000000000"), "too many digits"),
        ("at", datetime(2024, 1, 1), "no time zone"),  # noqa: DTZ001
        ("starts", time(12), "no offset"),
        ("address", "localhost", "IPv4 or IPv6"),
        ("place", (10.0, 106.0), "not on Earth"),
    ],
)
async def test_a_value_that_does_not_fit_is_refused(engine: Engine, column: str, value: Any, problem: str) -> None:
    with pytest.raises(StatementError, match=problem):
        await insert_order(engine, **{"total": Decimal(1), column: value})


async def test_a_check_on_a_decimal_is_exact(engine: Engine) -> None:
    assert (await insert_order(engine, total=Decimal("-1000.50"))).total == Decimal("-1000.50")
    with pytest.raises(IntegrityError):
        await insert_order(engine, total=Decimal("-1000.51"))


async def fill(engine: Engine, *totals: str) -> None:
    async with engine.write() as connection:
        await connection.execute(insert(Order), [{"total": Decimal(total)} for total in totals])


async def answer(engine: Engine, statement: Any) -> Any:
    async with engine.read() as connection:
        return await connection.scalar(statement)


async def test_decimals_are_summed_and_compared_exactly(engine: Engine) -> None:
    assert await answer(engine, select(func.coalesce(func.sum(Order.total), 0))) == 0
    assert await answer(engine, select(func.coalesce(func.sum(Order.total), 7))) == 7
    await fill(engine, *["0.10"] * 30, "99.99", "-5.00")
    total = await answer(engine, select(func.sum(Order.total)))
    assert (type(total), total) == (Decimal, Decimal("97.99"))
    assert await answer(engine, select(func.coalesce(func.sum(Order.total), 0))) == Decimal("97.99")
    assert await answer(engine, select(func.max(Order.total))) == Decimal("99.99")
    assert await answer(engine, select(func.count()).where(Order.total == Decimal("0.1"))) == 30
    assert await answer(engine, select(func.count()).where(Order.total > 99)) == 1
    assert await answer(engine, select(func.count()).where(Order.total.in_([Decimal("0.10"), 5]))) == 30
    assert await answer(engine, select(func.count()).where(Order.total.between(Decimal("0.05"), 1))) == 30
    assert await answer(engine, select(func.max(Order.total) + 1)) == Decimal("100.99")
    assert await answer(engine, select(func.max(Order.total - Decimal("0.99")))) == Decimal("99.00")
    dear = func.sum(case((Order.total > 1, Order.total), else_=1))
    assert await answer(engine, select(dear)) == Decimal("130.99")


async def test_a_price_times_a_quantity_is_exact(engine: Engine) -> None:
    order = uuid7()
    async with engine.write() as connection:
        await connection.execute(insert(Order).values(id=order, total=0))
        for price, quantity in (("19.99", 3), ("0.01", 7)):
            line = insert(Line).values(order_id=order, price=Decimal(price), quantity=quantity)
            await connection.execute(line)
    assert await answer(engine, select(func.sum(Line.price * Line.quantity))) == Decimal("60.04")
    assert await answer(engine, select(func.min(Line.price * 2))) == Decimal("0.02")


async def test_arithmetic_that_would_not_be_exact_is_refused(engine: Engine) -> None:
    with pytest.raises(TypeError, match="Compute it in Python"):
        Order.total * Decimal("0.2")
    with pytest.raises(TypeError, match="Compute it in Python"):
        Order.total / Decimal(2)
    if engine.dialect == "sqlite":  # elsewhere these are exact, or at least decimals
        for expression in (Line.quantity * Line.price, Order.total * Order.total, func.avg(Order.total)):
            with pytest.raises(CompileError):
                await answer(engine, select(expression))


async def test_times_sort_compare_and_default_alike(engine: Engine) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    times = [start + timedelta(microseconds=step) for step in (0, 1, 1_000_000, 1_000_001)]
    async with engine.write() as connection:
        await connection.execute(insert(Order), [{"total": 0, "at": at} for at in reversed(times)])
    async with engine.read() as connection:
        assert list(await connection.scalars(select(Order.at).order_by(Order.at))) == times
    local = times[1].astimezone(timezone(timedelta(hours=-5)))
    assert await answer(engine, select(func.count()).where(Order.at > local)) == 2
    async with engine.write() as connection:
        await connection.execute(insert(Order).values(total=1, at=func.now()))
    now = await answer(engine, select(Order.at).where(Order.total == 1))
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=5)


async def test_raw_json_keeps_its_bytes_and_can_be_returned(engine: Engine) -> None:
    async with engine.write() as connection:
        returned = await connection.scalar(insert(Order).values(total=1, raw=FULL["raw"]).returning(Order.raw))
    assert returned == FULL["raw"]


async def test_insert_new_returns_only_the_new_keys(engine: Engine) -> None:
    async with engine.write() as connection:
        await connection.execute(engine.insert_new(counters, [{"name": "a", "value": 1}], key=["name"]))
        rows = [{"name": name, "value": 2} for name in ("a", "b", "c", "b")]
        new = await connection.execute(engine.insert_new(counters, rows, key=["name"]))
        assert sorted(new.scalars()) == ["b", "c"]
        assert (await connection.execute(engine.insert_new(counters, rows, key=["name"]))).all() == []
        assert await connection.scalar(select(Counter.value).where(Counter.name == "a")) == 1


async def test_insert_new_fills_python_defaults_for_each_row(engine: Engine) -> None:
    async with engine.write() as connection:
        rows = [{"total": Decimal(number)} for number in range(3)]
        new = (await connection.execute(engine.insert_new(orders, rows, key=["id"]))).scalars().all()
        assert len(set(new)) == 3
        assert set(await connection.scalars(select(Order.status))) == {"open"}


@pytest.mark.parametrize("odd", [{}, {"secret": None}, {"document": None, "anything": None}])
async def test_many_rows_of_every_type_are_inserted_alike(engine: Engine, odd: dict[str, Any]) -> None:
    rows = [{**FULL, "id": uuid7()}, {**FULL, **odd, "id": uuid7(), "raw": '"back\\\\slash \\u0000"', "user_id": None}]
    async with engine.write() as connection:
        await connection.execute(engine.insert_new(orders, rows, key=["id"]))
    async with engine.read() as connection:
        found = {row.id: row._mapping for row in await connection.execute(select(orders))}
    for row in rows:
        assert {name: found[row["id"]][name] for name in row} == row


async def test_ten_thousand_rows_go_in_one_statement(engine: Engine) -> None:
    rows = [{"name": f"n{number}", "value": number} for number in range(10_000)]
    async with engine.write() as connection:
        new = await connection.execute(engine.insert_new(counters, rows, key=["name"]))
        assert len(new.all()) == 10_000
    assert await answer(engine, select(func.sum(Counter.value))) == 49_995_000


async def test_upsert_takes_the_new_row(engine: Engine) -> None:
    async with engine.write() as connection:
        for value in (1, 2):
            rows = [{"name": name, "value": value, "version": value} for name in ("a", "b")]
            await connection.execute(engine.upsert(counters, rows, key=["name"]))
        await connection.execute(
            engine.upsert(counters, [{"name": "a", "value": 9, "version": 9}], key=["name"], update=["value"])
        )
        found = await connection.execute(select(counters).order_by(Counter.name))
        assert [tuple(row) for row in found] == [("a", 9, 2), ("b", 2, 2)]


async def test_upsert_keeps_the_newer_version_and_may_compute(engine: Engine) -> None:
    new = engine.excluded(counters).c

    async def deliver(*versions: int) -> int:
        async with engine.write() as connection:
            for version in versions:
                row = {"name": "a", "value": 10, "version": version}
                update = {"value": Counter.value + new.value, "version": new.version}
                newer = new.version > Counter.version
                await connection.execute(engine.upsert(counters, [row], key=["name"], update=update, where=newer))
        return int(await answer(engine, select(Counter.value * 100 + Counter.version)))

    assert await deliver(1) == 1001
    assert await deliver(3, 2, 3, 1) == 2003
    assert await deliver(4) == 3004


async def test_rows_that_cannot_be_inserted_together_are_refused(engine: Engine) -> None:
    with pytest.raises(ValueError, match="no rows"):
        engine.insert_new(counters, [], key=["name"])
    with pytest.raises(ValueError, match="not all rows have the columns value"):
        engine.insert_new(counters, [{"name": "a", "value": 1}, {"name": "b"}], key=["name"])
    with pytest.raises(ValueError, match="two rows of the same name"):
        engine.upsert(counters, [{"name": "a"}, {"name": "a"}], key=["name"])


async def test_a_numbered_key_counts_by_itself_and_rows_stream(engine: Engine) -> None:
    order = uuid7()
    async with engine.write() as connection:
        await connection.execute(insert(Order).values(id=order, total=0))
        await connection.execute(insert(Line), [{"order_id": order, "price": 1, "quantity": n} for n in range(500)])
    async with engine.read() as connection:
        result = await connection.stream(select(Line.id).order_by(Line.id))
        assert [number async for number in result.scalars()] == list(range(1, 501))


async def test_foreign_keys_are_enforced(engine: Engine) -> None:
    with pytest.raises(IntegrityError):
        async with engine.write() as connection:
            await connection.execute(insert(Line).values(order_id=uuid7(), price=1, quantity=1))
