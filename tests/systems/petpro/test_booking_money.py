"""Money over random histories: every entry adds up, nothing is negative, and what clinics are paid is covered."""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from contextlib import AsyncExitStack
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

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

from systems.petpro.booking.money_tables import FinancialEntry, Payment
from systems.petpro.booking.rules import Split, split
from systems.petpro.booking.tables import Booking
from tests.systems.petpro.booking_stage import Bookings, Clinics, open_bookings
from tests.systems.petpro.stage import Person

NOTHING = Split(Decimal(0), Decimal(0), Decimal(0), Decimal(0))
TAX = Decimal("11.00")
some = st.integers(0, 1000)


class House:
    """One running system for all histories."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._folder = tempfile.TemporaryDirectory()
        self.play: Bookings = self.run(self._stack.enter_async_context(open_bookings(Path(self._folder.name))))

    def run(self, call: Any) -> Any:
        async def awaited() -> Any:
            return await call

        return self._runner.run(awaited())

    def close(self) -> None:
        self.run(self._stack.aclose())
        self._runner.close()
        self._folder.cleanup()


class Histories(RuleBasedStateMachine):
    """Bookings of one clinic, and what is done with them and their money."""

    house: House

    def __init__(self) -> None:
        super().__init__()
        self.play = self.house.play
        self.bookings: list[dict[str, Any]] = []

    def run(self, call: Any) -> Any:
        return self.house.run(call)

    @initialize(
        commission=st.decimals(0, 100, places=2), price=st.decimals(1, 1_000_000, places=2), approval=st.booleans()
    )
    def set_up(self, commission: Decimal, price: Decimal, approval: bool) -> None:
        async def made() -> None:
            await self.play.stage.empty()
            self.play.gateway.forget()
            now = self.play.clock.now()
            noon = (now + timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)
            self.play.clock.advance(seconds=(noon - now).total_seconds())
            service = {"price": float(price), "requiresApproval": approval}
            self.clinic: Clinics = await self.play.clinic(commission=str(commission), **service)
            self.who: Person = await self.play.stage.customer()
            self.slots = [await self.play.slot(self.clinic, hours=hours, capacity=10) for hours in (30, 60, 90)]

        self.commission = commission
        self.run(made())

    def some_booking(self, which: int) -> dict[str, Any]:
        return self.bookings[which % len(self.bookings)]

    # --- what happens -------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.bookings) < 6)
    @rule(slot=st.integers(0, 2), paid=st.booleans())
    def book(self, slot: int, paid: bool) -> None:
        async def call() -> None:
            held = await self.play.reserve(self.who, self.slots[slot])
            if held.status_code != 201:
                return
            made = await self.play.stage.made(
                "/bookings", self.who, reservationId=held.json()["reservationId"], paymentMethod="e_wallet"
            )
            self.bookings.append(made)
            if paid:
                await self.play.webhook(made)

        self.run(call())

    @precondition(lambda self: self.bookings)
    @rule(which=some, status=st.sampled_from(["completed", "completed", "failed", "expired"]))
    def tell(self, which: int, status: str) -> None:
        self.run(self.play.webhook(self.some_booking(which), status))

    @precondition(lambda self: self.bookings)
    @rule(which=some, by_clinic=st.booleans())
    def cancel(self, which: int, by_clinic: bool) -> None:
        self.run(self.play.cancel(self.some_booking(which), self.clinic.owner if by_clinic else self.who))

    @precondition(lambda self: self.bookings)
    @rule(which=some, part=st.one_of(st.none(), st.decimals("0.01", 600_000, places=2)))
    def refund(self, which: int, part: Decimal | None) -> None:
        body = {"reason": "unhappy"} | ({} if part is None else {"amount": float(part)})
        path = f"/payments/{self.some_booking(which)['payment']['paymentId']}/refund"
        self.run(self.play.stage.call("POST", path, self.clinic.owner, **body))

    @precondition(lambda self: self.bookings)
    @rule(which=some, slot=st.integers(0, 2))
    def reschedule(self, which: int, slot: int) -> None:
        path = f"/bookings/{self.some_booking(which)['id']}/reschedule"
        self.run(self.play.stage.call("PUT", path, self.clinic.owner, newSlotId=self.slots[slot]))

    @precondition(lambda self: self.bookings)
    @rule(which=some)
    def attend(self, which: int) -> None:
        """Approve it, and when its time has come let it take place."""

        async def call() -> None:
            path = f"/bookings/{self.some_booking(which)['id']}"
            await self.play.stage.call("PATCH", f"{path}/confirm", self.clinic.owner)
            starts_at = (await self.play.row(self.some_booking(which))).starts_at
            self.play.clock.advance(seconds=max((starts_at - self.play.clock.now()).total_seconds(), 0))
            for status in ("in_progress", "completed"):
                await self.play.stage.call("PUT", f"{path}/status", self.clinic.owner, status=status)

        self.run(call())

    @rule(times=st.integers(1, 3))
    def gateway_fails(self, times: int) -> None:
        self.play.gateway.fail("refund", times)

    @rule(hours=st.sampled_from([0.02, 0.3, 5, 24]))
    def wait(self, hours: float) -> None:
        self.run(self.play.world.advance(hours=hours))

    @rule()
    def settle(self) -> None:
        """The clinics' pay-out: to the cent what of the completed bookings' prices is theirs, less what went back."""

        async def call() -> None:
            self.play.clock.advance(days=4)
            await self.play.stage.made("/admin/settlements/run", self.clinic.admin)

        self.run(call())
        bookings, payments, entries = self.run(self.rows())
        covered = Decimal(0)
        for booking in bookings:
            settled = [entry for entry in entries[booking.id] if entry.status == "settled"]
            if settled:
                assert booking.status == "completed"
                kept = self.parts(booking.amount) - self.parts(payments[booking.id].asked_back)
                assert total(settled) == kept
                covered += kept.clinic_amount
        paid = sum(
            (entry.clinic_amount for each in entries.values() for entry in each if entry.status == "settled"),
            Decimal(0),
        )
        assert paid == covered

    # --- what must hold -----------------------------------------------------------------------------------------------

    async def rows(self) -> tuple[list[Booking], dict[UUID, Payment], dict[UUID, list[FinancialEntry]]]:
        async with self.play.world.work("booking").transaction(readonly=True) as tx:
            bookings = list(await tx.scalars(select(Booking)))
            payments = {each.booking_id: each for each in await tx.scalars(select(Payment))}
            entries = defaultdict(list)
            for entry in await tx.scalars(select(FinancialEntry)):
                entries[entry.booking_id].append(entry)
        return bookings, payments, entries

    def parts(self, amount: Decimal) -> Split:
        return split(amount, self.commission, TAX)

    @invariant()
    def every_cent_is_accounted_for(self) -> None:
        bookings, payments, entries = self.run(self.rows())
        for booking in bookings:
            payment, mine = payments[booking.id], entries[booking.id]
            self.check_entries(mine)
            self.check_payment(payment)
            counted = [entry for entry in mine if entry.status != "cancelled"]
            if counted:
                assert total(counted) == self.parts(booking.amount) - self.parts(payment.asked_back)
                assert min(total(counted).tax, total(counted).platform_fee, total(counted).clinic_amount) >= 0
            elif mine:
                assert payment.asked_back == booking.amount

    @staticmethod
    def check_entries(mine: list[FinancialEntry]) -> None:
        for entry in mine:
            assert entry.clinic_amount + entry.platform_fee + entry.tax_amount == entry.total_amount
            sign = 1 if entry.type == "booking_fee" else -1
            assert min(sign * entry.clinic_amount, sign * entry.platform_fee, sign * entry.tax_amount) >= 0
        for kind in ("booking_fee", "refund"):
            assert len([entry for entry in mine if entry.type == kind]) <= 1

    def check_payment(self, payment: Payment) -> None:
        given = sum(self.play.gateway.done("refund", payment.external_reference), Decimal(0))
        assert given == payment.refunded_amount <= payment.asked_back <= payment.amount
        assert payment.is_paid or not payment.asked_back


def total(entries: list[FinancialEntry]) -> Split:
    """What entries add up to."""
    added = NOTHING
    for entry in entries:
        added = added - (-entry.split)
    return added


def test_every_cent_of_random_histories_is_accounted_for() -> None:
    Histories.house = House()
    try:
        bounds = settings(
            max_examples=8,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
            phases=[Phase.reuse, Phase.generate],  # to shrink a history takes minutes
        )
        run_state_machine_as_test(Histories, settings=bounds)
    finally:
        Histories.house.close()
