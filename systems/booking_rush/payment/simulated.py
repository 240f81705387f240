"""A gateway that moves no money and behaves by the card: deterministic, with a memory of its own, as a real one has."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import Any
from uuid import UUID

from freehold import Clock, TimedSignature
from systems.booking_rush.payment.gateway import (
    Card,
    ChargeOrder,
    GatewayError,
    GatewayTimeout,
    Intent,
    NotSupported,
    SavedMethod,
    Transaction,
    Webhook,
)
from systems.booking_rush.payment.stripe_documents import read_webhook

NUMBERS = {
    "4242424242424242": "tok_visa",
    "5555555555554444": "tok_mastercard",
    "4000000000000002": "tok_declined",
    "4000000000009995": "tok_insufficient",
    "4000000000000069": "tok_expired",
    "4100000000000019": "tok_fraud",
    "4000000000000119": "tok_error",
}
CARDS = {
    **{token: ("visa", number[-4:]) for number, token in NUMBERS.items()},
    "tok_mastercard": ("mastercard", "4444"),
    **dict.fromkeys(("tok_flaky", "tok_timeout", "tok_async", "tok_refund_flaky"), ("visa", "4242")),
}
DECLINES = {
    "tok_declined": "card_declined",
    "tok_insufficient": "insufficient_funds",
    "tok_expired": "expired_card",
    "tok_fraud": "fraud_detected",
}
_STATUSES = {"succeeded": "succeeded", "declined": "requires_payment_method", "pending": "processing"}
TIMEOUTS = 2
"""So often `tok_flaky` does not answer, and the refunds of `tok_refund_flaky` fail."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS charges (
    payment_id TEXT PRIMARY KEY, status TEXT NOT NULL, amount INTEGER NOT NULL, currency TEXT NOT NULL, card TEXT,
    code TEXT, metadata TEXT NOT NULL, settles_at TEXT, announced INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS intents (
    payment_id TEXT PRIMARY KEY, secret TEXT NOT NULL, amount INTEGER NOT NULL, currency TEXT NOT NULL,
    booking_id TEXT NOT NULL, user_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refunds (key TEXT PRIMARY KEY, charge TEXT NOT NULL, amount INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tries (key TEXT PRIMARY KEY, count INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Announcement:
    """A webhook on its way: the raw body and its signature."""

    payment_id: UUID
    body: bytes
    signature: str


class SimulatedGateway:
    """The cards of the specification. No card at all succeeds.

    What it charged is kept apart from every service's transactions, in a file that survives the service, or in memory.

    Args:
        clock: where the time comes from.
        secret: that its webhooks are signed with.
        tolerance: seconds that a webhook's signature may be old.
        async_delay: how long `tok_async` stays pending.
        state_file: where it keeps its books; empty: in memory.
    """

    name = "simulated"

    def __init__(
        self,
        clock: Clock,
        secret: str,
        *,
        tolerance: float = 300.0,
        async_delay: timedelta = timedelta(seconds=1),
        state_file: str = "",
    ) -> None:
        self._clock = clock
        self._signature = TimedSignature(secret, tolerance=tolerance, clock=clock)
        self._async_delay = async_delay
        self._lock = Lock()
        self._books = sqlite3.connect(state_file or ":memory:", check_same_thread=False, isolation_level=None)
        self._books.row_factory = sqlite3.Row
        self._books.executescript(_SCHEMA)

    async def aclose(self) -> None:
        """Close its books."""
        self._books.close()

    # --- the port -----------------------------------------------------------------------------------------------------

    async def tokenize(self, card: Card) -> str:
        return NUMBERS.get(card.number.replace(" ", ""), "tok_unknown")

    async def charge(self, order: ChargeOrder) -> Transaction:
        with self._lock:
            known = self._find(order.payment_id)
            if known is not None:
                return known
            card = order.card_token
            if card == "tok_timeout" or (card == "tok_flaky" and self._try(f"charge:{order.payment_id}") <= TIMEOUTS):
                raise GatewayTimeout("the simulated gateway does not answer")
            if card == "tok_error":
                raise GatewayError("processing_error")
            return self._charge(order)

    async def get_transaction(self, payment_id: UUID) -> Transaction | None:
        with self._lock:
            return self._find(payment_id)

    async def refund(self, transaction_id: str, amount: int, *, key: str) -> None:
        with self._lock:
            if self._one("SELECT 1 FROM refunds WHERE key = ?", key):
                return
            charge = self._one("SELECT * FROM charges WHERE payment_id = ?", transaction_id.removeprefix("sim_"))
            if charge is None or charge["status"] != "succeeded":
                raise GatewayError("no_such_charge")
            back = self._one("SELECT coalesce(sum(amount), 0) AS back FROM refunds WHERE charge = ?", transaction_id)
            if back is not None and back["back"] + amount > charge["amount"]:
                raise GatewayError("amount_too_large")
            if charge["card"] == "tok_refund_flaky" and self._try(f"refund:{transaction_id}") <= TIMEOUTS:
                raise GatewayError("processing_error")
            self._books.execute("INSERT INTO refunds VALUES (?, ?, ?)", (key, transaction_id, amount))

    async def create_intent(self, order: ChargeOrder, customer_id: str | None) -> Intent:
        with self._lock:
            payment_id, booking_id, user_id = map(str, (order.payment_id, order.booking_id, order.user_id))
            row = payment_id, secrets.token_hex(12), order.amount, order.currency, booking_id, user_id
            self._books.execute("INSERT OR IGNORE INTO intents VALUES (?, ?, ?, ?, ?, ?)", row)
            return self._intent(order.payment_id)

    async def confirm_intent(self, intent_id: str) -> Intent:
        """Nobody fills in a form here: the intent succeeds when it is confirmed, and a webhook tells of it."""
        with self._lock:
            return self._decide_intent(intent_id, None)

    async def cancel_intent(self, intent_id: str) -> Intent:
        with self._lock:
            return self._decide_intent(intent_id, "canceled")

    def _decide_intent(self, intent_id: str, code: str | None) -> Intent:
        try:
            payment_id = UUID(intent_id.removeprefix("sim_"))
        except ValueError:
            raise GatewayError("no_such_intent") from None
        if self._find(payment_id) is None:
            row = self._one("SELECT * FROM intents WHERE payment_id = ?", str(payment_id))
            if row is None:
                raise GatewayError("no_such_intent")
            ids = payment_id, UUID(row["booking_id"]), UUID(row["user_id"])
            order = ChargeOrder(*ids, row["amount"], row["currency"])
            self._charge(order, code=code, settles_at=None if code else self._now())
        return self._intent(payment_id)

    def _intent(self, payment_id: UUID) -> Intent:
        row = self._one("SELECT secret FROM intents WHERE payment_id = ?", str(payment_id))
        transaction, id = self._find(payment_id), f"sim_{payment_id}"
        status = "requires_confirmation" if transaction is None else _STATUSES[transaction.status]
        return Intent(id, f"{id}_secret_{row['secret']}" if row else "", status, transaction)

    async def create_customer(self, user_id: UUID, email: str | None, name: str | None) -> str:
        raise NotSupported("the simulated gateway keeps no customers")

    async def list_methods(self, customer_id: str) -> Sequence[SavedMethod]:
        return []

    async def portal(self, customer_id: str, return_url: str) -> str:
        raise NotSupported("the simulated gateway has no portal")

    def verify_webhook(self, body: bytes, signature: str | None) -> Webhook:
        return read_webhook(self.name, body, signature, self._signature)

    # --- its webhooks -------------------------------------------------------------------------------------------------

    def sign(self, body: bytes) -> str:
        """The signature of a webhook sent now."""
        return self._signature.sign(body)

    def due_announcements(self) -> Sequence[Announcement]:
        """Webhooks that nobody has taken yet."""
        with self._lock:
            rows = self._books.execute(
                "SELECT * FROM charges WHERE settles_at <= ? AND announced = 0 ORDER BY settles_at", (self._now(),)
            ).fetchall()
        return [self._announce(row) for row in rows]

    def announced(self, announcement: Announcement) -> None:
        """A webhook was taken."""
        with self._lock:
            self._books.execute(
                "UPDATE charges SET announced = 1 WHERE payment_id = ?", (str(announcement.payment_id),)
            )

    def _announce(self, row: sqlite3.Row) -> Announcement:
        payment_id = UUID(row["payment_id"])
        data = {
            "id": f"sim_{payment_id}",
            "status": "succeeded",
            "amount": row["amount"],
            "currency": row["currency"],
            "metadata": json.loads(row["metadata"]),
        }
        event = {"id": f"evt_{payment_id}", "type": "payment_intent.succeeded", "data": {"object": data}}
        body = json.dumps(event).encode()
        return Announcement(payment_id, body, self.sign(body))

    # --- its books ----------------------------------------------------------------------------------------------------

    @property
    def charged(self) -> dict[UUID, int]:
        """What was charged, by payment, less what was given back."""
        with self._lock:
            rows = self._books.execute(
                "SELECT payment_id, amount - (SELECT coalesce(sum(amount), 0) FROM refunds "
                "WHERE charge = 'sim_' || payment_id) AS held FROM charges WHERE status = 'succeeded'"
            ).fetchall()
        return {UUID(row["payment_id"]): row["held"] for row in rows}

    def remember(self, charges: Iterable[tuple[UUID, int, int]]) -> None:
        """Take in charges by `tok_visa` that were made elsewhere: the payment, what was charged and given back."""
        with self._lock:
            self._books.execute("BEGIN")
            for payment_id, amount, back in charges:
                known = (str(payment_id), "succeeded", amount, "THB", "tok_visa", "{}")
                self._books.execute(
                    "INSERT OR IGNORE INTO charges (payment_id, status, amount, currency, card, metadata) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    known,
                )
                if back:
                    refund = (f"refund:{payment_id}", f"sim_{payment_id}", back)
                    self._books.execute("INSERT OR IGNORE INTO refunds VALUES (?, ?, ?)", refund)
            self._books.execute("COMMIT")

    def _charge(self, order: ChargeOrder, *, code: str | None = None, settles_at: str | None = None) -> Transaction:
        card = order.card_token
        code = code or DECLINES.get(card or "") or (None if card is None or card in CARDS else "invalid_card")
        if card == "tok_async":
            settles_at = (self._clock.now() + self._async_delay).isoformat()
        status = "declined" if code else "pending" if card == "tok_async" else "succeeded"
        metadata = {name: str(getattr(order, name)) for name in ("payment_id", "booking_id", "user_id")}
        self._books.execute(
            "INSERT INTO charges (payment_id, status, amount, currency, card, code, metadata, settles_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                str(order.payment_id),
                status,
                order.amount,
                order.currency,
                card,
                code,
                json.dumps(metadata),
                settles_at,
            ),
        )
        found = self._find(order.payment_id)
        assert found is not None  # noqa: S101 - it was inserted a line ago
        return found

    def _find(self, payment_id: UUID) -> Transaction | None:
        self._books.execute(
            "UPDATE charges SET status = 'succeeded' WHERE status = 'pending' AND settles_at <= ?", (self._now(),)
        )
        row = self._one("SELECT * FROM charges WHERE payment_id = ?", str(payment_id))
        if row is None:
            return None
        brand, last_four = CARDS.get(row["card"], (None, None))
        message = f"The card was declined: {row['code']}" if row["code"] else None
        return Transaction(
            self.name,
            f"sim_{payment_id}",
            row["status"],
            row["amount"],
            row["currency"],
            card_brand=brand,
            card_last_four=last_four,
            code=row["code"],
            message=message,
        )

    def _try(self, key: str) -> int:
        """How often this was tried, this time included."""
        self._books.execute("INSERT INTO tries VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET count = count + 1", (key,))
        row = self._one("SELECT count FROM tries WHERE key = ?", key)
        return int(row["count"]) if row else 0

    def _one(self, statement: str, *values: Any) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._books.execute(statement, values).fetchone()
        return row

    def _now(self) -> str:
        return self._clock.now().isoformat()
