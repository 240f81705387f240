"""What follows a payment, told by the sagas themselves: with notification, and without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from freehold.runtime.saga_store import SagaView
from freehold.testing import ManualClock, World
from systems.booking_rush.auth.settings import AuthSettings
from systems.booking_rush.auth.tables import Tenant
from systems.booking_rush.booking.contract import BookingConfirmed
from systems.booking_rush.booking.sagas import post_payment_saga
from systems.booking_rush.notification.contract import ConfirmationTaken, SendConfirmation
from systems.booking_rush.notification.tables import Notification
from systems.booking_rush.payment.contract import PaymentRefunded
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import FAST, HOME
from tests.systems.booking_rush.stage import Stage, open_stage, system

pytestmark = pytest.mark.engines(2, 4)

without = replace(system, services=[service for service in system.services if service.name != "notification"])


async def saga_of(stage: Stage, booking_id: str) -> tuple[SagaView, list[str]]:
    """The saga that followed the booking's payment, and what it went through."""
    sagas = stage.world.process.units["booking"].host.sagas
    async with stage.world.work("booking").transaction(readonly=True) as tx:
        found = await sagas.find(tx, post_payment_saga, booking_id)
        assert found is not None
        history = await sagas.history(tx, found.id)
    return found, [f"{line.step}: {line.what}" if line.step else line.what for line in history]


async def confirmations(world: World) -> list[str]:
    async with world.work("notification").transaction(readonly=True) as tx:
        kinds = await tx.scalars(select(Notification.type).order_by(Notification.type))
        return [kind for kind in kinds if kind in ("booking_confirmation", "e_ticket")]


async def test_the_buyer_is_told_once_by_the_saga_and_by_the_event(databases: Databases, tmp_path: Path) -> None:
    async with open_stage(databases, tmp_path) as stage:
        event = await stage.event(await stage.person("organizer"), seats=(10,))
        booking_id = await stage.bought(await stage.person(), event, 2)
        saga, history = await saga_of(stage, booking_id)
        assert saga.status == "completed"
        assert history[-3:] == ["send-notification: sent", "send-notification: done", "completed"]
        assert len(await stage.world.published(ConfirmationTaken)) == 1
        assert await confirmations(stage.world) == ["booking_confirmation", "e_ticket"]


@pytest.mark.parametrize("first", ["the saga", "the event"])
async def test_whichever_comes_first_the_buyer_is_told_once(databases: Databases, tmp_path: Path, first: str) -> None:
    async with open_stage(databases, tmp_path) as stage:
        event = await stage.event(await stage.person("organizer"), seats=(10,))
        booking = await stage.booking(await stage.held(await stage.person(), event, 2))
        booking.confirm(None, "BK-ABCDEFGH", stage.world.clock.now())
        told: list[Any] = [
            SendConfirmation(booking_id=booking.id, confirmed=booking.as_confirmed()),
            booking.as_confirmed(),
        ]
        for message in told if first == "the saga" else reversed(told):
            await stage.world.deliver("notification", message, times=2)
            assert await confirmations(stage.world) == ["booking_confirmation", "e_ticket"]
        assert len(await stage.world.published(ConfirmationTaken)) == 1


async def test_without_notification_sagas_complete_and_what_was_missed_is_kept(
    databases: Databases, tmp_path: Path
) -> None:
    urls = {service.name: await databases.url(service.name) for service in system.services}
    given: dict[type[Any], Any] = {AuthSettings: FAST}
    clock = ManualClock()
    async with World(without, databases=urls, given=given, clock=clock, folder=tmp_path / "home") as world:
        async with world.work("auth").transaction() as tx:
            tx.add(Tenant(id=HOME, name="home", slug="default", created_at=tx.now(), updated_at=tx.now()))
        stage = Stage(world)
        event = await stage.event(await stage.person("organizer"), seats=(10,))
        buyer = await stage.person()
        booking_id = await stage.bought(buyer, event, 2)
        accepted = await stage.act(
            "/saga/bookings", buyer, event_id=event["id"], show_id=event["show"]["id"], zone_id=event["zones"][0]["id"],
            quantity=2, total_price=6000.0, card_token="tok_visa",
        )  # fmt: skip
        for _ in range(6):
            await world.advance(seconds=2)
        assert (await saga_of(stage, booking_id))[0].status == "running"
        assert (await stage.booking(accepted.json()["booking_id"])).status == "confirmed"

        await world.advance(seconds=30)
        saga, history = await saga_of(stage, booking_id)
        assert (saga.status, saga.error) == ("completed", None)
        assert history[-3:] == ["send-notification: timed out", "send-notification: skipped", "completed"]
        whole = (await stage.call("GET", f"/saga/bookings/{accepted.json()['saga_id']}", buyer)).json()
        assert whole["status"] == "completed"
        assert {(await stage.booking(id)).status for id in (booking_id, whole["data"]["booking_id"])} == {"confirmed"}
        assert await world.published(PaymentRefunded) == []
        letters = await world.process.units["booking"].dead_letters.list()
        assert {letter.event_type for letter in letters} == {"notification.send_confirmation"}
        assert sorted(letter.partition_key for letter in letters if letter.consumer_name == "saga.booking_saga") == [
            whole["data"]["booking_id"]
        ]
        assert len(await world.published(BookingConfirmed)) == 2

    # Notification joins; what it missed is sent to it again.
    async with World(system, databases=urls, given=given, clock=clock, folder=tmp_path / "home") as world:
        assert await confirmations(world) == []
        assert (await world.process.units["booking"].dead_letters.replay_all(by="ann@example.com")).resolved == 3
        await world.settle()
        assert await confirmations(world) == ["booking_confirmation"] * 2 + ["e_ticket"] * 2
