"""What every database says once the dust has settled, added up."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from freehold.model.ports import Engine
from freehold.runtime.tables import FrameworkTables
from systems.booking_rush.booking.tables import Booking, ZoneInventory
from systems.booking_rush.payment.tables import Payment
from systems.booking_rush.system import system
from systems.booking_rush.ticket.tables import Event, Show, Zone
from tests.databases import Databases

Rows = list[dict[str, Any]]


@dataclass
class Books:
    """The rows of a site's services, read past the services."""

    engines: dict[str, Engine]
    folder: Path

    @classmethod
    async def open(cls, databases: Databases, folder: Path) -> Books:
        return cls({service.name: await databases.open(service.name) for service in system.services}, folder)

    def framework(self, service: str) -> FrameworkTables:
        return FrameworkTables(self.engines[service].dialect, system.service(service).table_names)

    async def rows(self, service: str, statement: Any) -> Rows:
        async with self.engines[service].read() as connection:
            return [dict(row._mapping) for row in await connection.execute(statement)]

    async def open_work(self) -> dict[str, int]:
        """What is still on its way, by service and table; empty when all is quiet."""
        found: dict[str, int] = {}
        for name in self.engines:
            tables = self.framework(name)
            outbox = tables.outbox
            statements = {
                "outbox": select(func.count()).where(outbox.c.published_at.is_(None), outbox.c.dead_at.is_(None)),
                "parked": select(func.count()).select_from(tables.parked),
                "delayed": select(func.count()).select_from(tables.delayed),
                "sagas": select(func.count()).where(tables.sagas.c.status.in_(("running", "compensating"))),
            }
            for what, statement in statements.items():
                (row,) = await self.rows(name, statement)
                if count := next(iter(row.values())):
                    found[f"{name} {what}"] = count
        held = await self.rows("booking", select(func.count().label("held")).where(Booking.status == "reserved"))
        if held[0]["held"]:
            found["holds"] = held[0]["held"]
        unsettled = Payment.status.in_(("pending", "processing", "refund_pending"))
        waiting = await self.rows("payment", select(func.count().label("waiting")).where(unsettled))
        if waiting[0]["waiting"]:
            found["payments"] = waiting[0]["waiting"]
        return found

    async def faults(self, granted: set[str], ordered: set[str]) -> list[str]:
        """Everything that does not add up, in words.

        `granted` bookings must be there; of the `ordered` ones, those that could not have seats never were.
        """
        bookings = await self.rows("booking", select(Booking.__table__))
        payments = await self.rows("payment", select(Payment.__table__))
        found = [*self._bookings(bookings, granted, ordered), *self._payments(bookings, payments)]
        found += await self._zones(bookings)
        found += await self._shows()
        found += await self._tickets_per_user(bookings)
        found += await self._applied()
        found += await self._told(bookings, payments)
        return found

    def _bookings(self, bookings: Rows, granted: set[str], ordered: set[str]) -> list[str]:
        made = Counter(str(row["id"]) for row in bookings)
        keys = Counter(row["idempotency_key"] for row in bookings)
        return [
            *(f"granted booking {id_} is lost" for id_ in granted - set(made)),
            *(f"booking {id_} was granted to nobody" for id_ in set(made) - granted - ordered),
            *(f"key {key} made {count} bookings" for key, count in keys.items() if key and count > 1),
        ]

    def _payments(self, bookings: Rows, payments: Rows) -> list[str]:
        charged = self._charged()
        by_booking = {row["booking_id"]: row for row in payments}
        found = [] if len(by_booking) == len(payments) else ["a booking has two payments"]
        for booking in bookings:
            payment = by_booking.get(booking["id"])
            if payment is None:
                found.append(f"booking {booking['id']} has no payment")
                continue
            if payment["amount"] != booking["total_amount"]:
                found.append(f"payment {payment['id']} is {payment['amount']}, not {booking['total_amount']}")
            if (payment["status"] == "succeeded") != (booking["status"] == "confirmed"):
                found.append(f"booking {booking['id']} is {booking['status']}, its payment {payment['status']}")
            kept = Decimal(0)
            if payment["status"] in ("succeeded", "refunded"):
                kept = payment["amount"] - (payment["refund_amount"] or 0)
            held = charged.pop(payment["id"], 0)
            if held != kept * 100:
                found.append(f"payment {payment['id']} ({payment['status']}): the gateway has {held}, not {kept * 100}")
        return found + [f"the gateway holds {held} of {id_}, which nobody knows" for id_, held in charged.items()]

    def _charged(self) -> dict[UUID, int]:
        """What the gateway holds for each payment, in the smallest unit, refunds taken off."""
        books = sqlite3.connect(self.folder / "gateway.sqlite")
        try:
            rows = books.execute(
                "SELECT payment_id, amount - (SELECT coalesce(sum(amount), 0) FROM refunds "
                "WHERE charge = 'sim_' || payment_id) FROM charges WHERE status = 'succeeded'"
            ).fetchall()
        finally:
            books.close()
        return {UUID(id_): held for id_, held in rows}

    async def _zones(self, bookings: Rows) -> list[str]:
        counted = {row["zone_id"]: row for row in await self.rows("booking", select(ZoneInventory.__table__))}
        found = []
        for zone in await self.rows("ticket", select(Zone.__table__)):
            mine = [row for row in bookings if row["zone_id"] == zone["id"]]
            sold = sum(row["quantity"] for row in mine if row["status"] == "confirmed")
            reserved = sum(row["quantity"] for row in mine if row["status"] == "reserved")
            there = (zone["available_seats"], zone["reserved_seats"], zone["sold_seats"])
            if there != (zone["total_seats"] - reserved - sold, reserved, sold):
                found.append(
                    f"ticket's zone {zone['id']} says {there}, bookings say {reserved} reserved and {sold} sold"
                )
            ours = counted.get(zone["id"], {"taken": 0, "total_seats": zone["total_seats"]})
            if ours["taken"] != reserved + sold or ours["taken"] > zone["total_seats"]:
                found.append(
                    f"booking's zone {zone['id']} counts {ours['taken']} of {zone['total_seats']}, bookings {reserved + sold}"
                )
            if ours["total_seats"] != zone["total_seats"]:
                found.append(
                    f"booking's zone {zone['id']} has {ours['total_seats']} seats, ticket's {zone['total_seats']}"
                )
        return found

    async def _shows(self) -> list[str]:
        """A show's counts are the sums over its living zones."""
        zones = await self.rows("ticket", select(Zone.__table__).where(Zone.deleted_at.is_(None)))
        found = []
        for show in await self.rows("ticket", select(Show.__table__)):
            mine = [zone for zone in zones if zone["show_id"] == show["id"]]
            sums = tuple(sum(zone[name] for zone in mine) for name in ("total_seats", "reserved_seats", "sold_seats"))
            counts = (show["total_capacity"], show["reserved_count"], show["sold_count"])
            if counts != sums:
                found.append(f"show {show['id']} counts {counts}, its zones {sums}")
        return found

    async def _tickets_per_user(self, bookings: Rows) -> list[str]:
        caps = {row["id"]: row["max_tickets_per_user"] for row in await self.rows("ticket", select(Event.__table__))}
        held: Counter[tuple[UUID, UUID]] = Counter()
        for row in bookings:
            if row["status"] in ("reserved", "confirmed"):
                held[row["user_id"], row["event_id"]] += row["quantity"]
        return [
            f"user {user_id} has {count} tickets of event {event_id}, at most {caps[event_id]} are allowed"
            for (user_id, event_id), count in held.items()
            if count > (caps[event_id] or 10)
        ]

    async def _applied(self) -> list[str]:
        """Each published event has one mark for each consumer, nothing is dead, and every saga has ended."""
        found = []
        consumers: Counter[str] = Counter()
        for service in system.services:
            consumers.update(m.__message__.name for handler in service.handlers for m in handler.messages)
            consumers.update(m.__message__.name for saga in service.sagas for m in saga.listens_to())
            consumers.update(m.__message__.name for view in service.views for m in view.sources)
        marks: Counter[UUID] = Counter()
        for name in self.engines:
            consumed = self.framework(name).consumed
            marks.update(row["event_id"] for row in await self.rows(name, select(consumed.c.event_id)))
        for name in self.engines:
            for dead in await self.rows(name, select(self.framework(name).dead_letters)):
                found.append(f"{name} has a dead {dead['event_type']}: {dead['error']}")
            outbox = self.framework(name).outbox
            for row in await self.rows(name, select(outbox.c.event_id, outbox.c.event_type)):
                if marks[row["event_id"]] != consumers[row["event_type"]]:
                    found.append(
                        f"{name}'s {row['event_type']} was consumed {marks[row['event_id']]} times, not {consumers[row['event_type']]}"
                    )
            sagas = self.framework(name).sagas
            for saga in await self.rows(name, select(sagas).where(sagas.c.status.not_in(("completed", "compensated")))):
                found.append(f"saga {saga['saga']} of {saga['saga_key']} is {saga['status']}: {saga['error']}")
        return found

    async def _told(self, bookings: Rows, payments: Rows) -> list[str]:
        """Each booking and each payment told its story once.

        A payment that was given up, and charged all the same, goes back: that it failed was told, not that it was paid.
        """
        status = Counter(row["status"] for row in (*bookings, *payments))
        late = sum(row["completed_at"] is not None and row["error_code"] is not None for row in payments)
        expected = {
            "booking.reserved": len(bookings),
            "booking.confirmed": sum(row["confirmed_at"] is not None for row in bookings),
            "booking.cancelled": sum(row["status"] == "cancelled" for row in bookings),
            "booking.expired": status["expired"],
            "payment.initiated": len(payments),
            "payment.completed": sum(row["completed_at"] is not None for row in payments) - late,
            "payment.failed": status["failed"] + late,
            "payment.refunded": status["refunded"],
        }
        told: Counter[str] = Counter()
        for name in ("booking", "payment"):
            rows = await self.rows(name, select(self.framework(name).outbox.c.event_type))
            told.update(row["event_type"] for row in rows)
        return [
            f"{told[kind]} {kind} were published for {count}" for kind, count in expected.items() if told[kind] != count
        ]
