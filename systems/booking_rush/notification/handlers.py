"""What notification does when something happens elsewhere: it writes down what users are to be told."""

from __future__ import annotations

from collections.abc import Iterable

from freehold import Event, Retry, Tx, uuid7
from systems.booking_rush.notification.contract import ConfirmationTaken, SendConfirmation
from systems.booking_rush.notification.declaration import notification
from systems.booking_rush.notification.notices import NOTICES, Notice, confirmed
from systems.booking_rush.notification.settings import NotificationSettings
from systems.booking_rush.notification.tables import Notification
from systems.booking_rush.notification.wording import Wording, wordings


@notification.on(*NOTICES, name="notices", batch=200)
async def write_notices(events: list[Event], tx: Tx, settings: NotificationSettings) -> None:
    """Each occasion once, however often, and by however many events, it is told of."""
    await _write((notice for event in events for notice in NOTICES[type(event)](event)), settings, tx)


@notification.handles(SendConfirmation, retry=Retry(times=6))  # the first try, and five more
async def send_confirmation(command: SendConfirmation, tx: Tx, settings: NotificationSettings) -> None:
    """The same occasion as the booking's event, so that the buyer hears of it once, whichever comes first."""
    await _write(confirmed(command.confirmed), settings, tx)
    tx.publish(ConfirmationTaken(booking_id=command.booking_id, taken_at=tx.now()))


async def _write(notices: Iterable[Notice], settings: NotificationSettings, tx: Tx) -> None:
    occasions = {notice.key: notice for notice in notices}
    if occasions:
        words = await wordings({notice.kind for notice in occasions.values()}, settings.locale, tx)
        rows = [_row(notice, words[notice.kind], tx) for notice in occasions.values()]
        await tx.insert_new(Notification, rows, key=["dedupe_key"])


def _row(notice: Notice, wording: Wording, tx: Tx) -> dict[str, object]:
    subject, body = wording.fill(notice.values)
    return {
        "id": uuid7(),
        "tenant_id": notice.tenant_id,
        "user_id": notice.user_id,
        "booking_id": notice.booking_id,
        "type": notice.type,
        "subject": subject,
        "body": body,
        "metadata": notice.details,
        "dedupe_key": notice.key,
        "created_at": tx.now(),
        "updated_at": tx.now(),
        "next_attempt_at": tx.now(),
    }
