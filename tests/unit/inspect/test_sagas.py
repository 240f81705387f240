from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from freehold import Command, Event, Saga, Service, Step, System, Tx
from freehold.inspect import Violation, check


class Placed(Event, name="order.placed", topic="orders", key="order_id"):
    order_id: UUID


class Reserved(Event, name="stock.reserved", topic="stock", key="order_id"):
    order_id: UUID


class Rejected(Event, name="stock.rejected", topic="stock", key="order_id"):
    order_id: UUID


class Reserve(Command, name="stock.reserve", key="order_id"):
    order_id: UUID


class Release(Command, name="stock.release", key="order_id"):
    order_id: UUID


async def local(data: Any, tx: Tx) -> None: ...


stock = Service("stock", publishes=[Reserved, Rejected])


@stock.handles(Reserve)
async def reserve(command: Reserve, tx: Tx) -> None: ...


@stock.handles(Release)
async def release(command: Release, tx: Tx) -> None: ...


def reserving(**changes: Any) -> Step:
    declared: dict[str, Any] = {"do": Reserve, "ok": Reserved, "fail": Rejected, "undo": Release, "timeout": "30s"}
    return Step("reserve", **(declared | changes))


def violations(*steps: Step, publishes: tuple[type[Event], ...] = (Placed,)) -> list[Violation]:
    orders = Service("orders", publishes=publishes)
    orders.saga(Saga("checkout", key="order_id", starts_on=Placed, steps=steps))
    return check(System("shop", [orders, stock]))


def codes(*steps: Step) -> list[str]:
    return [violation.code for violation in violations(*steps)]


def test_a_complete_saga_is_fine() -> None:
    assert codes(reserving(), Step("confirm", do=local)) == []


def test_a_step_before_one_that_can_fail_needs_an_undo() -> None:
    [found] = violations(reserving(undo=None), Step("confirm", do=local))

    assert (found.code, found.severity) == ("FH060", "error")
    assert found.where == "orders saga checkout, step 'reserve'"
    assert "'confirm' after it can fail" in found.message


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (Step("later", do=local), ["FH060"]),
        (Step("later", ok=Reserved, timeout="1h"), ["FH060"]),
        (Step("later", ok=Reserved, fail=Rejected, timeout="1h"), ["FH060"]),
        (Step("later", ok=Reserved), ["FH063"]),  # it cannot fail, it can only wait for ever
        (Step("later", do=local, critical=False), []),
    ],
)
def test_only_a_step_that_can_turn_the_saga_back_asks_for_an_undo(later: Step, expected: list[str]) -> None:
    assert codes(Step("write", do=local), later) == expected


def test_a_wait_has_no_effect_to_undo() -> None:
    assert codes(Step("approval", ok=Reserved, fail=Rejected, timeout="1d"), Step("confirm", do=local)) == []


def test_a_former_version_is_looked_at_too() -> None:
    old = Saga("checkout", key="order_id", starts_on=Placed, steps=[Step("write", do=local), Step("next", do=local)])
    orders = Service("orders", publishes=[Placed])
    orders.saga(
        Saga("checkout", key="order_id", starts_on=Placed, version=2, former=[old], steps=[Step("confirm", do=local)])
    )

    [found] = check(System("shop", [orders]))

    assert (found.code, found.where) == ("FH060", "orders saga checkout, step 'write'")


def test_an_outcome_must_be_published_by_somebody() -> None:
    silent = Service("stock")
    silent.handlers.extend(stock.handlers)
    orders = Service("orders", publishes=[Placed])
    orders.saga(Saga("checkout", key="order_id", starts_on=Placed, steps=[reserving()]))

    found = check(System("shop", [orders, silent]))

    assert {violation.code for violation in found} == {"FH061"}
    assert {violation.message.split()[2] for violation in found} == {"stock.reserved,", "stock.rejected,"}


def test_its_first_event_must_be_published_by_somebody() -> None:
    [found] = violations(reserving(), publishes=())

    assert (found.code, found.where) == ("FH061", "orders saga checkout")
    assert "starts on order.placed" in found.message
    assert found.file is not None


def test_two_services_cannot_have_a_saga_of_one_name() -> None:
    services = [Service("orders", publishes=[Placed]), Service("sales")]
    for service in services:
        service.saga(Saga("checkout", key="order_id", starts_on=Placed, steps=[Step("confirm", do=local)]))

    [found] = check(System("shop", services))

    assert (found.code, found.where) == ("FH062", "sales saga checkout")


def test_a_step_that_waits_for_ever_is_a_warning() -> None:
    [found] = violations(reserving(timeout=None))

    assert (found.code, found.severity) == ("FH063", "warning")


def test_the_last_command_may_be_carried_out_after_its_timeout() -> None:
    [found] = violations(reserving(undo=None))

    assert (found.code, found.severity) == ("FH064", "warning")


def test_a_step_waits_for_what_another_service_publishes() -> None:
    [found] = violations(reserving(ok=Placed), Step("confirm", do=local))

    assert (found.code, found.where) == ("FH065", "orders saga checkout, step 'confirm'")
    assert "the longest is reserve: sent, reserve: failed, reserve: turned back, compensated" in found.message


def test_a_saga_that_can_go_nowhere_tells_the_way_there() -> None:
    found = violations(Step("open", do=local, undo=local), reserving(ok=Placed, fail=Placed, timeout=None))

    assert [each.code for each in found] == ["FH063", "FH066"]
    assert found[1].where == "orders saga checkout, step 'reserve'"
    assert "after open: done, reserve: sent" in found[1].message


def test_a_signal_may_come_from_anywhere() -> None:
    assert codes(Step("approval", ok=Reserved, fail=Rejected, timeout="1d"), Step("confirm", do=local)) == []


def test_an_undo_is_confirmed_by_whoever_undoes() -> None:
    assert codes(reserving(undone=Placed), Step("confirm", do=local)) == ["FH067"]
    assert codes(reserving(undone=Rejected), Step("confirm", do=local)) == []
