"""The marketplace in a test: vendors and customers at the public API, the gateway, and both databases at hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
from sqlalchemy import select

from freehold import Event
from freehold.model.envelope import Envelope
from freehold.runtime.saga_store import SagaView
from freehold.testing import World
from systems.petpro.auth.settings import AuthSettings
from systems.petpro.gateway import FakeGateway, PaymentGateway
from systems.petpro.inventory.rules import Level, level_of
from systems.petpro.inventory.tables import OrderHold, Stock, StockMovement
from systems.petpro.vendor.order_tables import Order, OrderPayment
from tests.databases import Databases
from tests.systems.petpro.stage import FAST, Person, Stage
from tests.systems.petpro.stage import system as whole

E = TypeVar("E", bound=Event)
ADDRESS = {"street": "Jl. Kemang 1", "city": "Jakarta"}
SERVICES = ("auth", "inventory", "vendor")

system = replace(whole, services=[service for service in whole.services if service.name in SERVICES])


@dataclass(frozen=True)
class Shop(Person):
    """Somebody with an approved vendor."""

    vendor_id: str


class Market:
    """What people do on the marketplace, and what is left in the databases."""

    ahead_seconds = 1
    """How long before a deadline it is still looked at: time stands still meanwhile."""

    def __init__(self, stage: Stage, admin: Person) -> None:
        self.stage, self.world, self.admin = stage, stage.world, admin
        self._numbers = 0
        self._category: str | None = None

    @property
    def gateway(self) -> FakeGateway:
        """The gateway of the running vendor service."""
        gateway = self.stage.host("vendor").provided.use(PaymentGateway)  # type: ignore[type-abstract]
        assert isinstance(gateway, FakeGateway)
        return gateway

    # --- people -------------------------------------------------------------------------------------------------------

    async def customer(self) -> Person:
        return await self.stage.customer()

    async def shop(self, rate: str = "10.00") -> Shop:
        """An approved vendor with its commission in per cent."""
        owner = await self.stage.vendor()
        made = await self.call("POST", "/vendors", owner, 201, **self.application())
        await self.call("PUT", f"/admin/vendors/{made['id']}/approve", self.admin, commissionRate=float(rate))
        await self.world.settle()
        return Shop(**vars(owner), vendor_id=made["id"])

    def application(self) -> dict[str, Any]:
        """What somebody says who opens a shop."""
        self._numbers += 1
        return {
            "businessName": f"Shop {self._numbers}", "businessType": "shop", "contactName": "Budi",
            "email": f"shop{self._numbers}@example.com", "phone": "021-555", "address": "Jl. Kemang 2",
            "city": "Jakarta", "province": "DKI Jakarta", "postalCode": "12730", "taxId": "01.234",
        }  # fmt: skip

    # --- goods --------------------------------------------------------------------------------------------------------

    async def category(self) -> str:
        """A category for products that have no need of one."""
        if self._category is None:
            made = await self.call("POST", "/inventory/categories", self.admin, 201, name="Food")
            self._category = made["id"]
        return self._category

    async def product(self, quantity: int = 10, **fields: Any) -> str:
        """A product of which there are so many."""
        self._numbers += 1
        wish = {
            "name": f"Product {self._numbers}", "sku": f"SKU-{self._numbers}", "price": 100000,
            "categoryId": fields.get("categoryId") or await self.category(), "initialQuantity": quantity,
        }  # fmt: skip
        made = await self.call("POST", "/inventory/products", self.admin, 201, **wish | fields)
        await self.world.settle()
        return str(made["id"])

    async def listed(self, shop: Shop, price: str, quantity: int = 10) -> str:
        """A product that the shop sells at the price."""
        product = await self.product(quantity)
        await self.offer(shop, product, price)
        return product

    async def offer(self, shop: Shop, product: str, price: str) -> Any:
        """The shop's listing of the product."""
        wish = {"productId": product, "vendorPrice": float(price), "marketplacePrice": float(price)}
        return await self.call("POST", f"/vendors/{shop.vendor_id}/products", shop, 201, **wish)

    # --- orders -------------------------------------------------------------------------------------------------------

    async def order(self, who: Person, *lines: tuple[str, int], key: str | None = None) -> httpx.Response:
        """POST /orders for so many of each product."""
        self._numbers += 1
        wish = {
            "items": [{"productId": product, "quantity": quantity} for product, quantity in lines],
            "shippingAddress": ADDRESS, "paymentMethod": "credit_card",
        }  # fmt: skip
        headers = {**who.headers, "X-Idempotency-Key": key or f"order-{self._numbers}"}
        return await self.world.http.post("/api/v1/orders", json=wish, headers=headers)

    async def placed(self, who: Person, *lines: tuple[str, int]) -> str:
        """The id of a new order, whose stock is held if it could be."""
        answer = await self.order(who, *lines)
        assert answer.status_code == 202, answer.text
        await self.go_on()
        return str(answer.json()["id"])

    async def notice(self, order_id: str, status: str = "completed", amount: str | None = None) -> httpx.Response:
        """The gateway's webhook about the order."""
        payment = await self.payment(order_id)
        assert payment.external_reference is not None
        said = Decimal(amount) if amount else payment.amount
        body, signature = self.gateway.webhook(payment.external_reference, said, status)
        return await self.world.http.post(
            "/api/v1/orders/webhook/payment", content=body, headers={"X-Webhook-Signature": signature}
        )

    async def paid(self, who: Person, *lines: tuple[str, int]) -> str:
        """The id of a new order that is paid."""
        order_id = await self.placed(who, *lines)
        answer = await self.notice(order_id)
        assert answer.status_code == 200, answer.text
        await self.go_on()
        return order_id

    async def progress(self, who: Person, order_id: str, status: str, **more: Any) -> Any:
        """PUT /orders/{id}/status."""
        shown = await self.call("PUT", f"/orders/{order_id}/status", who, status=status, **more)
        await self.go_on()
        return shown

    async def delivered(self, who: Person, *lines: tuple[str, int]) -> str:
        """The id of a new order that is paid and delivered."""
        order_id = await self.paid(who, *lines)
        for status in ("shipped", "delivered"):
            await self.progress(self.admin, order_id, status)
        return order_id

    async def payouts(self, **body: Any) -> Any:
        """POST /admin/payouts/run."""
        made = await self.call("POST", "/admin/payouts/run", self.admin, **body)
        await self.go_on()
        return made

    async def go_on(self) -> None:
        """Let happen what is due without waiting."""
        await self.world.settle()
        await self.world.run_due()

    async def wait(self, **parts: float) -> None:
        """Let so much time pass, and happen what follows from what was due by then."""
        await self.world.advance(**parts)
        await self.world.run_due()

    async def call(self, method: str, path: str, who: Person | None, expected: int = 200, **body: Any) -> Any:
        """The answer's body. Fails when its status is another one."""
        answer = await self.ask(method, path, who, **body)
        assert answer.status_code == expected, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def ask(self, method: str, path: str, who: Person | None, **body: Any) -> httpx.Response:
        """The answer."""
        headers = {} if who is None else who.headers
        sent = None if method in ("GET", "DELETE") else body
        return await self.world.http.request(method, f"/api/v1{path}", json=sent, headers=headers)

    # --- looking ------------------------------------------------------------------------------------------------------

    async def order_row(self, order_id: str) -> Order:
        """The row, with its items and its payment."""
        async with self.world.work("vendor").transaction(readonly=True) as tx:
            found = await tx.get(Order, UUID(order_id))
        assert found is not None
        return found

    async def payment(self, order_id: str) -> OrderPayment:
        """The order's payment."""
        payment = (await self.order_row(order_id)).payment
        assert payment is not None
        return payment

    async def stock(self, product: str) -> Level:
        """How many there are: as its row says, and as its ledger adds up."""
        async with self.world.work("inventory").transaction(readonly=True) as tx:
            row = await tx.find(Stock, Stock.product_id == UUID(product))
            ledger = select(StockMovement.transaction_type, StockMovement.quantity)
            rows = await tx.execute(ledger.where(StockMovement.product_id == UUID(product)))
            booked = level_of([(kind, quantity) for kind, quantity in rows])
        assert row is not None
        assert row.level == booked
        return row.level

    async def ledger(self, product: str) -> list[tuple[str, int]]:
        """The product's movements."""
        async with self.world.work("inventory").transaction(readonly=True) as tx:
            movements = select(StockMovement.transaction_type, StockMovement.quantity).order_by(StockMovement.id)
            rows = await tx.execute(movements.where(StockMovement.product_id == UUID(product)))
            return [(kind, quantity) for kind, quantity in rows]

    async def hold(self, order_id: str) -> str | None:
        """The state of the order's hold."""
        async with self.world.work("inventory").transaction(readonly=True) as tx:
            found = await tx.get(OrderHold, UUID(order_id))
        return None if found is None else found.state

    async def saga(self, name: str, key: object) -> SagaView | None:
        """A saga of vendor."""
        sagas = self.stage.host("vendor").sagas
        async with self.world.work("vendor").transaction(readonly=True) as tx:
            return await sagas.find(tx, name, str(key))

    async def told(self, kind: type[E], order_id: str) -> list[E]:
        """The events of this type about the order."""
        return [event for event in await self.world.published(kind) if event.key == order_id]

    async def redeliver(self, kind: type[Event], order_id: str, *, times: int = 1, anew: bool = False) -> None:
        """Deliver the order's events of this type again: under their own ids, or as new ones."""
        for event in await self.envelopes(kind, order_id):
            for service in system.services:
                if kind in service.consumes():
                    message = kind.model_validate_json(event.payload)
                    id = None if anew else event.event_id
                    await self.world.deliver(service.name, message, times=times, event_id=id)

    async def envelopes(self, kind: type[Event], order_id: str) -> list[Envelope]:
        """The order's events of this type, as they were published."""
        owner = next(service.name for service in system.services if kind in service.publishes)
        host = self.stage.host(owner)
        table = host.tables.outbox
        async with host.engine.read() as connection:
            of_order = (table.c.event_type == kind.__message__.name) & (table.c.partition_key == order_id)
            return [
                Envelope(row.event_id, row.event_type, row.version, owner, row.topic, row.partition_key,
                         row.created_at, row.payload, row.headers)
                for row in await connection.execute(select(table).where(of_order).order_by(table.c.seq))
            ]  # fmt: skip


async def open_on(stage: Stage) -> Market:
    """The marketplace of a running system."""
    return Market(stage, await stage.admin())


@asynccontextmanager
async def open_market(
    databases: Databases, folder: Path, given: Mapping[type[Any], Any] | None = None
) -> AsyncIterator[Market]:
    """The services of the marketplace, on fresh databases; `given` substitutes more than cheap hashes."""
    urls = {name: await databases.url(name) for name in SERVICES}
    substitutes: dict[type[Any], Any] = {AuthSettings: FAST, **(given or {})}
    async with World(system, databases=urls, given=substitutes, folder=folder / "home") as world:
        stage = Stage(world)
        yield await open_on(stage)
        assert await stage.dead_letters() == []
