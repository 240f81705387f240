"""Whatever happens to orders, and however often and late services hear of it, units and money add up."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Iterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from freehold import Event
from freehold.testing import World
from systems.petpro.auth.settings import AuthSettings
from systems.petpro.inventory.contract import InventoryReservationConfirmed, InventoryReservationFailed
from systems.petpro.inventory.rules import level_of
from systems.petpro.inventory.tables import OrderHold, Stock, StockMovement
from systems.petpro.vendor.contract import InventoryReserved, OrderCancelled, OrderPaid, OrderRefunded, PayoutCompleted
from systems.petpro.vendor.order_tables import Order, OrderItem, OrderRefund, Payout
from tests.systems.petpro.market_stage import Market, Person, Shop, open_on, system
from tests.systems.petpro.stage import FAST, Stage

R = TypeVar("R")
UNITS = 6
RETOLD = (
    InventoryReserved, OrderPaid, OrderCancelled, OrderRefunded, InventoryReservationConfirmed,
    InventoryReservationFailed,
)  # fmt: skip
picks = st.integers(0, 1000)
carts = st.dictionaries(st.integers(0, 3), st.integers(1, 3), min_size=1, max_size=3)
with_orders = precondition(lambda histories: histories.orders)


class Running:
    """One system for all histories, on a loop of its own."""

    def __init__(self, folder: Path) -> None:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        world = World(system, given={AuthSettings: FAST}, folder=folder)
        self.stage = Stage(self.run(self._stack.enter_async_context(world)))

    def run(self, work: Awaitable[R]) -> R:
        async def awaited() -> R:
            return await work

        return self._runner.run(awaited())

    def close(self) -> None:
        self.run(self._stack.aclose())
        self._runner.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """The marketplace on SQLite."""
    opened = Running(tmp_path)
    yield opened
    opened.close()


class Histories(RuleBasedStateMachine):
    """What customers, vendors, administrators, the gateway, the clock and the bus may do."""

    running: Running
    market: Market

    def __init__(self) -> None:
        super().__init__()
        self.do = self.running.run
        self.shops: list[Shop] = []
        self.products: list[str] = []
        self.orders: list[str] = []
        self.customer: Person
        self.do(self._begin())

    async def _begin(self) -> None:
        await self.running.stage.empty()
        self.market = await open_on(self.running.stage)
        self.customer = await self.market.customer()
        for rate in ("10.00", "12.50"):
            shop = await self.market.shop(rate)
            self.shops.append(shop)
            self.products += [await self.market.listed(shop, price, UNITS) for price in ("100.05", "33.33")]

    def _order(self, pick: int) -> str:
        return self.orders[pick % len(self.orders)]

    def _shop(self, pick: int) -> Shop:
        return self.shops[pick % len(self.shops)]

    def _try(self, method: str, path: str, who: Person, **body: Any) -> None:
        """It is done, or refused with a reason; never broken off."""
        answer = self.do(self.market.ask(method, path, who, **body))
        assert answer.status_code in (200, 202, 403, 409), answer.text
        self.do(self.market.go_on())

    # --- people -------------------------------------------------------------------------------------------------------

    @initialize(carts=st.lists(carts, min_size=2, max_size=4), ends=st.lists(st.integers(0, 5), min_size=4, max_size=4))
    def begin(self, carts: list[dict[int, int]], ends: list[int]) -> None:
        """Some orders, each a different way on: placed, paid, shipped, delivered, paid out for, or refunded then."""
        for cart, end in zip(carts, ends, strict=False):
            self._go(cart, end)

    def _go(self, cart: dict[int, int], end: int) -> None:
        before = len(self.orders)
        self._place(cart)
        if len(self.orders) == before:
            return
        if end > 0:
            assert self.do(self.market.notice(self.orders[-1])).status_code == 200
            self.do(self.market.go_on())
        for status in ("shipped", "delivered", "", "refunded")[: max(end - 1, 0)]:
            if status:
                self._try("PUT", f"/orders/{self.orders[-1]}/status", self.market.admin, status=status)
            else:
                self._pay_out()

    def _pay_out(self) -> None:
        """What was delivered is paid out a week later, and transferred."""
        self.do(self.market.wait(days=8))
        self.do(self.market.payouts())
        self.do(self.market.wait(minutes=1))

    def _place(self, cart: dict[int, int]) -> None:
        wanted = [(self.products[n], quantity) for n, quantity in cart.items()]
        answer = self.do(self.market.order(self.customer, *wanted))
        assert answer.status_code in (202, 409), answer.text
        if answer.status_code == 202:
            self.orders.append(answer.json()["id"])
        self.do(self.market.go_on())

    @rule(cart=carts)
    def place(self, cart: dict[int, int]) -> None:
        self._place(cart)

    @rule(cart=carts)
    def sell(self, cart: dict[int, int]) -> None:
        """An order from its beginning to its delivery."""
        self._go(cart, 3)

    @with_orders
    @rule(pick=picks, status=st.sampled_from(["completed", "completed", "failed"]))
    def notify(self, pick: int, status: str) -> None:
        order_id = self._order(pick)
        if self.do(self.market.order_row(order_id)).payment is not None:
            assert self.do(self.market.notice(order_id, status)).status_code == 200
            self.do(self.market.go_on())

    @with_orders
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        self._try("PUT", f"/orders/{self._order(pick)}/cancel", self.customer, reason="no more")

    @with_orders
    @rule(pick=picks, whose=picks)
    def cancel_items(self, pick: int, whose: int) -> None:
        shop = self._shop(whose)
        self._try("POST", f"/vendors/{shop.vendor_id}/orders/{self._order(pick)}/cancel", shop, reason="broken")

    @with_orders
    @rule(pick=picks, whose=picks, status=st.sampled_from(["shipped", "delivered"]))
    def progress(self, pick: int, whose: int, status: str) -> None:
        self._try("PUT", f"/orders/{self._order(pick)}/status", self._shop(whose), status=status)

    @with_orders
    @rule(pick=picks)
    def refund(self, pick: int) -> None:
        self._try("PUT", f"/orders/{self._order(pick)}/status", self.market.admin, status="refunded")

    @rule()
    def pay_out(self) -> None:
        self._pay_out()

    # --- the world ----------------------------------------------------------------------------------------------------

    @rule(minutes=st.sampled_from([1, 11]))
    def wait(self, minutes: int) -> None:
        self.do(self.market.wait(minutes=minutes))

    @rule(kind=st.sampled_from(["refund", "transfer", "session"]), times=st.integers(1, 3))
    def gateway_fails(self, kind: Any, times: int) -> None:
        self.market.gateway.fail(kind, times)

    @with_orders
    @rule(pick=picks, kinds=st.lists(st.sampled_from(RETOLD), min_size=1, max_size=3), anew=st.booleans())
    def retell(self, pick: int, kinds: list[type[Event]], anew: bool) -> None:
        """Deliver events again, in another order: under their ids, or as a replay does under new ones."""
        for kind in kinds:
            self.do(self.market.redeliver(kind, self._order(pick), anew=anew))
        self.do(self.market.go_on())

    @with_orders
    @rule(pick=picks, paid=st.booleans())
    def overtake(self, pick: int, paid: bool) -> None:
        """Inventory hears of an order's end first: of one that is otherwise like one there was."""
        (wished,) = self.do(self.market.told(InventoryReserved, self._order(pick)))
        items = [item.model_copy(update={"order_item_id": uuid4()}) for item in wished.items]
        other = wished.model_copy(update={"order_id": uuid4(), "items": items})
        cancelled = OrderCancelled(
            order_id=other.order_id, reason="no more", stock_action="return" if paid else "release",
            status="cancelled", items=other.items, refund_amount=Decimal(0), version=2,
            cancelled_at=self.market.world.clock.now(),
        )  # fmt: skip
        for event in (cancelled, other, cancelled):
            self.do(self.market.world.deliver("inventory", event))
        assert self.do(self.market.hold(str(other.order_id))) == "cancelled_early"

    # --- what holds always --------------------------------------------------------------------------------------------

    @invariant()
    def units_add_up(self) -> None:
        self.do(self._check_units())

    async def _check_units(self) -> None:
        world = self.market.world
        async with world.work("inventory").transaction(readonly=True) as tx:
            stock = {row.product_id: row for row in await tx.scalars(select(Stock))}
            ledger: dict[UUID, list[tuple[Any, int]]] = defaultdict(list)
            for movement in await tx.scalars(select(StockMovement)):
                ledger[movement.product_id].append((movement.transaction_type, movement.quantity))
            held = await tx.scalars(select(OrderHold.lines).where(OrderHold.state == "reserved"))
            waiting = _by_product((UUID(line["product_id"]), line["quantity"]) for lines in held for line in lines)
        async with world.work("vendor").transaction(readonly=True) as tx:
            orders = list(await tx.scalars(select(Order)))
        reserved = _by_product(
            (item.product_id, item.quantity)
            for order in orders
            if order.status == "pending" and order.reservation_state == "reserved"
            for item in order.items
        )
        sold = _by_product(
            (item.product_id, item.quantity)
            for order in orders
            for item in order.items
            if item.status in ("processing", "shipped", "delivered") or item.delivered_at is not None
        )
        for product_id, row in stock.items():
            assert row.level == level_of(ledger[product_id])
            assert row.quantity_available >= 0
            assert row.quantity_reserved == reserved[product_id] == waiting[product_id]
            assert row.quantity_available + row.quantity_reserved + sold[product_id] == UNITS

    @invariant()
    def money_adds_up(self) -> None:
        self.do(self._check_money())

    async def _check_money(self) -> None:
        async with self.market.world.work("vendor").transaction(readonly=True) as tx:
            orders = list(await tx.scalars(select(Order)))
            items = list(await tx.scalars(select(OrderItem)))
            refunds = list(await tx.scalars(select(OrderRefund)))
            payouts = list(await tx.scalars(select(Payout)))
        gateway = self.market.gateway
        for order in orders:
            if order.payment is None:
                continue
            asked = [refund for refund in refunds if refund.order_id == order.id]
            done = sum((refund.amount for refund in asked if refund.status == "done"), Decimal(0))
            assert done == order.payment.refunded_amount <= order.payment.amount
            assert sum(gateway.done("refund", order.payment.external_reference)) == done
            dead = [item.total for item in order.items if item.status in ("cancelled", "refunded")]
            assert sum(refund.amount for refund in asked) == (sum(dead) if order.payment.paid_at else 0)
            assert (order.payment.status == "refund_pending") == any(each.status == "pending" for each in asked)
        for payout in payouts:
            earned = sum((item.earned for item in items if item.payout_id == payout.id), Decimal(0))
            assert payout.amount == earned + Decimal(payout.transaction_details["carry"]) > 0
        for shop in self.shops:
            mine = [item for item in items if str(item.vendor_id) == shop.vendor_id and item.payout_id is not None]
            paid = [payout for payout in payouts if str(payout.vendor_id) == shop.vendor_id]
            assert sum(p.amount for p in paid) == sum(item.earned - item.taken_back for item in mine)
            completed = sum(p.amount for p in paid if p.status == "completed")
            assert sum(gateway.done("transfer", shop.vendor_id)) == completed
            assert all(0 <= item.taken_back <= item.earned for item in mine)

    def teardown(self) -> None:
        assert self.do(self.running.stage.dead_letters()) == []
        completed = self.do(self.market.world.published(PayoutCompleted))
        assert len({event.payout_id for event in completed}) == len(completed)


def _by_product(lines: Iterator[tuple[UUID, int]]) -> dict[UUID, int]:
    total: dict[UUID, int] = defaultdict(int)
    for product_id, quantity in lines:
        total[product_id] += quantity
    return total


def test_units_and_money_add_up_in_every_history(running: Running) -> None:
    Histories.running = running
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Histories,
        settings=settings(
            max_examples=8,
            stateful_step_count=14,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
