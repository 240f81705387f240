"""Reading what Stripe sends: its payment intents and its events, which the simulated gateway's are shaped like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from freehold import InvalidSignature, TimedSignature
from systems.booking_rush.payment.gateway import InvalidWebhook, Transaction, Webhook

KINDS: Mapping[str, Literal["succeeded", "failed", "refunded"]] = {
    "payment_intent.succeeded": "succeeded",
    "payment_intent.payment_failed": "failed",
    "payment_intent.canceled": "failed",
    "charge.refunded": "refunded",
}
TRY_AGAIN = "processing_error"
"""The one reason of a refused charge that may be gone at the next try."""
_UNDER_WAY = ("processing", "requires_action", "requires_capture")
_CODES = {"fraudulent": "fraud_detected", "generic_decline": "card_declined"}
_LONGEST_CODE = 50


def decline_code(error: Mapping[str, Any]) -> str:
    """Why a charge was refused, in the words that `payments.error_code` has."""
    code = str(error.get("code") or "payment_failed")
    if code == "card_declined":
        code = str(error.get("decline_code") or code)
    return _CODES.get(code, code)[:_LONGEST_CODE]


def read_transaction(gateway: str, intent: Mapping[str, Any]) -> Transaction | None:
    """What became of a payment intent; None as long as nothing was charged or finally refused.

    Raises KeyError, TypeError or ValueError on anything that is no intent.
    """
    status, error = intent["status"], intent.get("last_payment_error") or {}
    if status == "succeeded":
        return _transaction(gateway, intent, "succeeded")
    if status in _UNDER_WAY:
        return _transaction(gateway, intent, "pending")
    if status == "canceled":
        return _transaction(gateway, intent, "declined", "canceled", "The payment was cancelled")
    if not error or error.get("code") == TRY_AGAIN:
        return None
    return read_refusal(gateway, str(intent["id"]), int(intent["amount"]), error)


def read_refusal(gateway: str, intent_id: str, amount: int, error: Mapping[str, Any]) -> Transaction:
    """A charge that the card's bank refused."""
    card = (error.get("payment_method") or {}).get("card") or {}
    return Transaction(
        gateway,
        intent_id,
        "declined",
        amount,
        card_brand=card.get("brand"),
        card_last_four=card.get("last4"),
        code=decline_code(error),
        message=str(error.get("message") or "The card was declined"),
    )


def _transaction(
    gateway: str,
    intent: Mapping[str, Any],
    status: Literal["succeeded", "declined", "pending"],
    code: str | None = None,
    message: str | None = None,
) -> Transaction:
    charge = intent.get("latest_charge")  # its id, or all of it where that was asked for
    whole: Mapping[str, Any] = charge if isinstance(charge, dict) else {}
    card = (whole.get("payment_method_details") or {}).get("card") or {}
    currency = intent.get("currency")
    return Transaction(
        gateway,
        str(intent["id"]),
        status,
        int(intent["amount"]),
        currency=str(currency).upper() if currency else None,
        charge_id=str(whole["id"]) if whole else charge,
        card_brand=card.get("brand"),
        card_last_four=card.get("last4"),
        code=code,
        message=message,
    )


def read_webhook(gateway: str, body: bytes, signed: str | None, signature: TimedSignature) -> Webhook:
    """An event that the gateway sent. Raises InvalidWebhook."""
    try:
        signature.verify(signed, body)
        event = json.loads(body)
        kind = KINDS.get(event["type"])
        about = event["data"]["object"]
        return Webhook(
            id=str(event["id"]),
            type=str(event["type"]),
            kind=kind,
            payment_id=_payment_id(about.get("metadata") or {}),
            transaction=_told(gateway, kind, about) if kind in ("succeeded", "failed") else None,
            refunded=int(about.get("amount_refunded", about["amount"])) if kind == "refunded" else 0,
        )
    except (InvalidSignature, ValueError, KeyError, TypeError, AttributeError) as error:
        # Not the text of the error: of an unsigned body it could be anything.
        raise InvalidWebhook(type(error).__name__ if not isinstance(error, InvalidSignature) else str(error)) from error


def _told(gateway: str, kind: str, intent: Mapping[str, Any]) -> Transaction | None:
    transaction = read_transaction(gateway, intent)
    silent = transaction is None and not intent.get("last_payment_error")
    if kind == "failed" and silent:
        return _transaction(gateway, intent, "declined", "payment_failed", "The payment failed")
    return transaction


def _payment_id(metadata: Mapping[str, Any]) -> UUID | None:
    """Whose payment it is; None for what others do with the same account."""
    try:
        return UUID(str(metadata["payment_id"]))
    except (KeyError, ValueError):
        return None
