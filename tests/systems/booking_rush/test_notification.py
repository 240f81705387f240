"""What users are told: written down once, sent by the sender, shown to nobody else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from freehold import uuid7
from systems.booking_rush.auth.contract import UserDeleted, UserUpdated
from systems.booking_rush.notification.sender import LoggingSender, Message, NotificationSender
from systems.booking_rush.notification.settings import NotificationSettings
from systems.booking_rush.notification.tables import Notification, Template
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import ABROAD, HOME, problem
from tests.systems.booking_rush.newsroom import Newsroom, open_newsroom, refused
from tests.unit.booking_rush.sales import Sale


@pytest.fixture
async def room(databases: Databases) -> AsyncIterator[Newsroom]:
    async with open_newsroom(databases) as opened:
        yield opened


async def only(room: Newsroom) -> Notification:
    (row,) = await room.rows()
    assert isinstance(row, Notification)
    return row


# --- writing down -----------------------------------------------------------------------------------------------------


async def test_each_occasion_is_told_once_however_often_it_is_heard_of(room: Newsroom) -> None:
    sale = Sale()
    await room.hear(sale.confirmed(), sale.paid())
    for event in (sale.confirmed(), sale.paid()):  # under new ids, past the inbox
        await room.world.deliver("notification", event, times=2, event_id=uuid7())
    rows = await room.rows()
    assert sorted(row.type for row in rows) == ["booking_confirmation", "e_ticket", "payment_receipt"]
    assert {(row.status, row.attempts, row.channel, row.recipient) for row in rows} == {("pending", 0, "email", None)}
    ticket = next(row for row in rows if row.type == "e_ticket")
    assert "BK-ABCDEF" in ticket.body
    assert ticket.details["confirmation_code"] == "BK-ABCDEF"


async def test_a_template_of_the_locale_then_an_english_one_then_the_default(room: Newsroom) -> None:
    now = room.world.clock.now()
    words = [
        ("en", "booking_expired", "English: $event_name", True),
        ("th", "booking_expired", "Thai: $event_name", True),
        ("en", "booking_cancelled", "English: $event_name", True),
        ("th", "booking_cancelled", "Switched off", False),
        ("de", "e_ticket", "German", True),
    ]
    async with room.world.work("notification").transaction() as tx:
        for locale, kind, subject, active in words:
            tx.add(
                Template(
                    id=uuid7(), type=kind, locale=locale, subject=subject, body="$zone_name", is_active=active,
                    created_at=now, updated_at=now,
                )
            )  # fmt: skip
    settings = room.world.process.units["notification"].host.provided.use(NotificationSettings)
    settings.locale = "th"
    await room.hear(Sale().expired(), Sale().cancelled(), Sale().confirmed())
    said = {row.type: (row.subject, row.body) for row in await room.rows()}
    assert said["booking_expired"] == ("Thai: Rush", "Gold")
    assert said["booking_cancelled"] == ("English: Rush", "Gold")
    assert said["e_ticket"][0] == "Your tickets for Rush"


# --- sending ----------------------------------------------------------------------------------------------------------


async def test_what_is_pending_is_sent_to_the_newest_address(room: Newsroom) -> None:
    sale = Sale()
    user_id = sale.expired().user_id
    await room.hear(sale.expired())
    await room.meet(user_id)
    await room.hear(
        UserUpdated(
            user_id=user_id, tenant_id=HOME, email="new@example.com", name="Ann", phone=None, role="customer",
            is_active=True, stripe_customer_id=None, changed=["email"], updated_at=room.world.clock.advance(seconds=2),
        )
    )  # fmt: skip
    await room.world.run_due()
    row = await only(room)
    assert (row.status, row.attempts, row.recipient, row.sent_at) == (
        "sent",
        1,
        "new@example.com",
        room.world.clock.now(),
    )
    (message,) = room.sender.sent
    assert (message.recipient, message.key) == ("new@example.com", f"booking_expired:{sale.booking_id}")
    assert (message.subject, message.body) == (row.subject, row.body)
    await room.world.advance(hours=1)
    assert len(room.sender.sent) == 1


async def test_a_refused_one_is_tried_five_times_then_it_has_failed(room: Newsroom) -> None:
    sale = Sale()
    await room.meet(sale.expired().user_id)
    await room.hear(sale.expired())
    room.sender.refusals = refused(5)
    for attempt, wait in enumerate((15, 30, 60, 120), 1):
        await room.world.run_job("notification", "notification_sender")
        await room.world.run_job("notification", "notification_sender")  # too early
        row = await only(room)
        assert (row.status, row.attempts) == ("retrying", attempt)
        assert row.last_error == "the provider did not take it: mailbox full"
        room.world.clock.advance(seconds=wait)
    await room.world.run_job("notification", "notification_sender")
    row = await only(room)
    assert (row.status, row.attempts, row.next_attempt_at) == ("failed", 5, None)
    await room.world.advance(days=1)
    assert room.sender.sent == []


async def test_one_that_trips_the_sender_holds_up_no_other(room: Newsroom, caplog: pytest.LogCaptureFixture) -> None:
    sales = [Sale() for _ in range(3)]
    for sale in sales:
        await room.meet(sale.expired().user_id, "ann@example.com")
        await room.hear(sale.expired())
    room.sender.refusals = [RuntimeError("cannot write to ann@example.com")]
    with caplog.at_level(logging.DEBUG):
        await room.world.run_job("notification", "notification_sender")
    assert sorted(row.status for row in await room.rows()) == ["retrying", "sent", "sent"]
    assert "the sender stumbled: RuntimeError" in {row.last_error for row in await room.rows()}
    assert "ann@example.com" not in caplog.text


async def test_more_than_a_batch_is_sent_in_one_run(room: Newsroom) -> None:
    user_id = uuid4()
    await room.meet(user_id)
    await room.hear(*(Sale(user_id=user_id).confirmed() for _ in range(4)))
    room.world.process.units["notification"].host.provided.use(NotificationSettings).send_batch = 3
    await room.world.run_job("notification", "notification_sender")
    assert len({message.key for message in room.sender.sent}) == 8
    assert {row.status for row in await room.rows()} == {"sent"}


async def test_an_address_that_comes_late_is_waited_for(room: Newsroom) -> None:
    sale = Sale()
    await room.hear(sale.expired())
    await room.world.run_due()
    assert (await only(room)).last_error == "the user's address is not known yet"
    await room.meet(sale.expired().user_id)
    await room.world.advance(seconds=15)
    assert (await only(room)).status == "sent"


async def test_nothing_is_sent_to_a_deleted_user(room: Newsroom) -> None:
    sale = Sale()
    user_id = sale.expired().user_id
    await room.meet(user_id)
    await room.hear(sale.expired())
    gone = UserDeleted(user_id=user_id, tenant_id=HOME, deleted_at=room.world.clock.advance(seconds=2))
    await room.hear(gone)
    await room.world.run_due()
    row = await only(room)
    assert (row.status, row.attempts, row.last_error) == ("failed", 0, "the user is deleted")
    assert room.sender.sent == []


async def test_a_provider_that_does_not_answer_costs_an_attempt(
    room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: Message) -> None:
        await asyncio.Event().wait()

    sale = Sale()
    await room.meet(sale.expired().user_id)
    await room.hear(sale.expired())
    monkeypatch.setattr(room.sender, "send", never)
    room.world.process.units["notification"].host.provided.use(NotificationSettings).send_timeout_seconds = 0.01
    await room.world.run_job("notification", "notification_sender")
    row = await only(room)
    assert (row.status, row.last_error) == ("retrying", "the provider did not answer in time")


async def test_a_crash_after_sending_sends_again_under_the_same_key(
    room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale = Sale()
    await room.meet(sale.expired().user_id)
    await room.hear(sale.expired())
    with monkeypatch.context() as patched:
        patched.setattr(Notification, "sent", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await room.world.run_job("notification", "notification_sender")
    assert (await only(room)).status == "pending"
    await room.world.run_job("notification", "notification_sender")
    assert [message.key for message in room.sender.sent] == [f"booking_expired:{sale.booking_id}"] * 2
    assert (await only(room)).status == "sent"


async def test_the_default_sender_logs_the_type_and_the_id_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    message = Message(uuid4(), "e_ticket", "email", "KEY", "ann@example.com", "SUBJECT", "BODY")
    sender: NotificationSender = LoggingSender()
    with caplog.at_level(logging.INFO):
        await sender.send(message)
    assert [record.getMessage() for record in caplog.records] == [f"notification {message.id} of type e_ticket is sent"]


# --- the user's own list ----------------------------------------------------------------------------------------------


async def test_a_user_sees_the_own_notifications_newest_first(room: Newsroom) -> None:
    ann, ben = uuid4(), uuid4()
    for number in range(3):
        await room.hear(Sale(user_id=ann, tenant_id=HOME, event_name=f"Rush {number}").expired())
        room.world.clock.advance(seconds=1)
    await room.hear(Sale(user_id=ben, tenant_id=HOME).expired())
    page = await room.report("/notifications?limit=2", ann, "customer")
    assert [one["metadata"]["event_name"] for one in page["data"]] == ["Rush 2", "Rush 1"]
    assert page["meta"] == {"page": 1, "per_page": 2, "total": 3, "total_pages": 2}
    rest = await room.report(f"/notifications?limit=2&cursor={page['next_cursor']}", ann, "customer")
    assert [one["metadata"]["event_name"] for one in rest["data"]] == ["Rush 0"]
    assert (await room.report("/notifications", ann, "customer", tenant=ABROAD))["data"] == []
    assert len((await room.report("/notifications", ben, "customer"))["data"]) == 1
    assert {"dedupe_key", "last_error", "user_id"}.isdisjoint(page["data"][0])
    problem(await room.world.http.get("/api/v1/notifications"), 401, "MISSING_TOKEN")
    problem(await room.get("/notifications?limit=101", ann, "customer"), 400, "VALIDATION_ERROR")
