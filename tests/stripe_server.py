"""A real HTTP server of Stripe's shape, with what it keeps in memory: intents, customers, cards, refunds and keys.

It answers like Stripe where payment relies on it: form-encoded bodies in, JSON out, a bearer key, idempotency keys that
repeat the first answer and refuse another request, an intent that is charged once, and signed webhooks.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Literal, Self
from urllib.parse import parse_qsl

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from freehold import Clock, SystemClock, TimedSignature
from tests.unit.http.servers import serving

Fault = Literal["lost", "silent", "error", "error after", "garbage", "nonsense"]
"""lost: done, and the connection closed; silent: done, and never answered; error: 500 and nothing done; error after:
done, and 500; garbage: done, and answered with something that is no JSON; nonsense: done, and answered with {}."""
Json = dict[str, Any]

CARDS = {
    "tok_visa": ("visa", "4242", None),
    "tok_mastercard": ("mastercard", "4444", None),
    "tok_chargeDeclined": ("visa", "0002", ("card_declined", "generic_decline")),
    "tok_chargeDeclinedInsufficientFunds": ("visa", "9995", ("card_declined", "insufficient_funds")),
    "tok_chargeDeclinedFraudulent": ("visa", "0019", ("card_declined", "fraudulent")),
    "tok_chargeDeclinedExpiredCard": ("visa", "0069", ("expired_card", None)),
    "tok_chargeDeclinedProcessingError": ("visa", "0119", ("processing_error", None)),
}
NUMBERS = {"4242424242424242": "tok_visa", "5555555555554444": "tok_mastercard"}


class Answer(Exception):
    """An error that Stripe answers."""

    def __init__(self, status: int, kind: str, code: str = "", **more: Any) -> None:
        self.status = status
        self.document = {"error": {"type": kind, "code": code, "message": f"Stripe says {code or kind}", **more}}


class StripeServer:
    """`async with StripeServer() as stripe:` listens on loopback at `url`.

    `secret_key` lets in, `webhook_secret` signs its webhooks at the time of `clock`, and `requests` is what it was asked.
    """

    def __init__(self) -> None:
        self.clock: Clock = SystemClock()
        self.secret_key = f"sk_test_{secrets.token_hex(12)}"
        self.webhook_secret = f"whsec_{secrets.token_hex(12)}"
        self.intents: dict[str, Json] = {}
        self.customers: dict[str, Json] = {}
        self.methods: dict[str, Json] = {}
        self.refunds: dict[str, Json] = {}
        self.requests: list[str] = []
        self._events: list[Json] = []
        self._keys: dict[str, tuple[tuple[str, Json], int, Json]] = {}
        self._faults: list[tuple[str, Fault]] = []
        self._count = 0
        self._over = asyncio.Event()

    async def __aenter__(self) -> Self:
        everything = Route("/v1/{path:path}", self._serve, methods=["GET", "POST"])
        self._serving = serving(Starlette(routes=[everything]))
        self.url = await self._serving.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await self._serving.__aexit__(None, None, None)

    # --- what tests do ------------------------------------------------------------------------------------------------

    def fail(self, request: str, fault: Fault, *, times: int = 1) -> None:
        """Answer the next requests that contain this, like `POST refunds`, so."""
        self._faults += [(request, fault)] * times

    def heal(self) -> None:
        """From now on everything works."""
        self._faults.clear()

    def pay(self, intent_id: str, token: str = "tok_visa") -> None:
        """The customer fills in the gateway's form."""
        intent = self.intents[intent_id]
        assert intent["status"] != "canceled"
        intent["payment_method"] = self._card(token)["id"]
        with suppress(Answer):  # which the form shows
            self._charge(intent)

    def refund(self, intent_id: str, amount: int) -> None:
        """Somebody gives money back by hand."""
        self._refund({"payment_intent": intent_id, "amount": amount})

    def save_card(self, customer_id: str, token: str, *, default: bool) -> str:
        """The customer's card is kept; its id."""
        card = self._card(token)
        card["customer"] = customer_id
        if default:
            self.customers[customer_id]["invoice_settings"]["default_payment_method"] = card["id"]
        id: str = card["id"]
        return id

    async def deliver(self, client: httpx.AsyncClient, *, again: bool = False) -> list[httpx.Response]:
        """Send what happened since the last time to our route, signed; `again` sends everything."""
        answers = []
        for event in [event for event in self._events if again or not event["sent"]]:
            event["sent"] = True
            answers.append(await self.send(client, {name: event[name] for name in ("id", "type", "data")}))
        return answers

    async def send(self, client: httpx.AsyncClient, event: Json, *, secret: str = "") -> httpx.Response:
        """Send one event, signed with the secret of both, or with another."""
        body = json.dumps(event).encode()
        signature = TimedSignature(secret or self.webhook_secret, clock=self.clock).sign(body)
        return await client.post("/api/v1/webhooks/stripe", content=body, headers={"Stripe-Signature": signature})

    def intent_of(self, payment_id: object) -> Json:
        """The one intent of a payment."""
        (found,) = [it for it in self.intents.values() if it["metadata"].get("payment_id") == str(payment_id)]
        return found

    @property
    def charged(self) -> dict[str, int]:
        """What was charged, by payment, less what was given back."""
        held: dict[str, int] = {}
        for intent in self.intents.values():
            if intent["status"] == "succeeded":
                payment_id = intent["metadata"]["payment_id"]
                held[payment_id] = held.get(payment_id, 0) + intent["amount"] - self._refunded(intent["id"])
        return held

    # --- the door -----------------------------------------------------------------------------------------------------

    async def _serve(self, request: Request) -> Response:
        path, method = request.path_params["path"], request.method
        self.requests.append(f"{method} {path}")
        fault = self._next_fault(self.requests[-1])
        if fault == "error":
            return JSONResponse({"error": {"type": "api_error"}}, 500)
        form: Json = dict(request.query_params if method == "GET" else parse_qsl((await request.body()).decode()))
        status, document = self._keyed(request, method, path, form)
        match fault:
            case "lost":
                return StreamingResponse(_torn(), headers={"Content-Length": "100"})
            case "silent":
                await self._over.wait()
            case "error after":
                return JSONResponse({"error": {"type": "api_error"}}, 500)
            case "garbage":
                return Response(b"<html>", 200)
            case "nonsense":
                return JSONResponse({})
        return JSONResponse(document, status)

    def _next_fault(self, request: str) -> Fault | None:
        for number, (part, fault) in enumerate(self._faults):
            if part in request:
                del self._faults[number]
                return fault
        return None

    def _keyed(self, request: Request, method: str, path: str, form: Json) -> tuple[int, Json]:
        """The first answer to a key is its answer for good, unless nothing was begun."""
        try:
            if request.headers.get("authorization") != f"Bearer {self.secret_key}":
                raise Answer(401, "invalid_request_error", "api_key_invalid")
            key = request.headers.get("idempotency-key")
            known = self._keys.get(key or "")
            if known is not None and known[0] != (path, form):
                raise Answer(400, "idempotency_error")
        except Answer as answer:
            return answer.status, answer.document
        if known is not None:
            return known[1], known[2]
        outcome: tuple[int, Json]
        try:
            outcome = 200, json.loads(json.dumps(self._do(method, path.split("/"), form)))
        except Answer as answer:
            outcome = answer.status, answer.document
        if key and outcome[0] in (200, 402):
            self._keys[key] = ((path, form), *outcome)
        return outcome

    def _do(self, method: str, path: list[str], form: Json) -> Json:
        match (method, *path):
            case "POST", "payment_intents":
                return self._make_intent(form)
            case "GET", "payment_intents", "search":
                wanted = form["query"].removeprefix("metadata['payment_id']:'").removesuffix("'")
                found = [it for it in self.intents.values() if it["metadata"].get("payment_id") == wanted]
                return {"object": "search_result", "data": found}
            case "GET", "payment_intents", id:
                return self._find(self.intents, id)
            case "POST", "payment_intents", id:
                self._find(self.intents, id)["customer"] = self._find(self.customers, form["customer"])["id"]
                return self.intents[id]
            case "POST", "payment_intents", id, "confirm":
                return self._confirm(self._find(self.intents, id), form)
            case "POST", "payment_intents", id, "cancel":
                return self._cancel(self._find(self.intents, id))
            case "POST", "payment_methods":
                token = NUMBERS.get(form["card[number]"].replace(" ", ""))
                if token is None:
                    raise Answer(402, "card_error", "incorrect_number")
                return self._card(token)
            case "GET", "refunds":
                return {"data": [it for it in self.refunds.values() if it["payment_intent"] == form["payment_intent"]]}
            case "POST", "refunds":
                return self._refund(form)
            case "POST", "customers":
                return self._keep(self.customers, "cus", email=form.get("email"), metadata=_metadata(form),
                                  invoice_settings={"default_payment_method": None})  # fmt: skip
            case "GET", "customers", id:
                return self._find(self.customers, id)
            case "GET", "customers", id, "payment_methods":
                return {"data": [it for it in self.methods.values() if it["customer"] == id]}
            case "POST", "billing_portal", "sessions":
                id = self._find(self.customers, form["customer"])["id"]
                return {"url": f"https://billing.example/{id}?return_url={form['return_url']}"}
        raise Answer(404, "invalid_request_error", "resource_missing")

    # --- what it does -------------------------------------------------------------------------------------------------

    def _make_intent(self, form: Json) -> Json:
        intent = self._keep(self.intents, "pi", amount=int(form["amount"]), currency=form["currency"],
                            metadata=_metadata(form), status="requires_payment_method", customer=None,
                            payment_method=None, latest_charge=None, last_payment_error=None)  # fmt: skip
        intent["client_secret"] = f"{intent['id']}_secret_{secrets.token_hex(8)}"
        return intent

    def _confirm(self, intent: Json, form: Json) -> Json:
        if "payment_method_data[card][token]" in form:
            intent["payment_method"] = self._card(form["payment_method_data[card][token]"])["id"]
        elif "payment_method" in form:
            intent["payment_method"] = self._find(self.methods, form["payment_method"])["id"]
        if intent["status"] in ("succeeded", "canceled") or intent["payment_method"] is None:
            raise Answer(400, "invalid_request_error", "payment_intent_unexpected_state")
        return self._charge(intent)

    def _cancel(self, intent: Json) -> Json:
        if intent["status"] in ("succeeded", "canceled"):
            raise Answer(400, "invalid_request_error", "payment_intent_unexpected_state")
        intent["status"] = "canceled"
        self._tell("payment_intent.canceled", intent)
        return intent

    def _charge(self, intent: Json) -> Json:
        card = self.methods[intent["payment_method"]]
        refusal = CARDS[card["token"]][2]
        if refusal is not None:
            error = {"code": refusal[0], "decline_code": refusal[1], "message": "No.", "payment_method": card}
            intent["status"], intent["last_payment_error"] = "requires_payment_method", error
            self._tell("payment_intent.payment_failed", intent)
            raise Answer(402, "card_error", refusal[0], decline_code=refusal[1], payment_method=card)
        self._count += 1
        intent["latest_charge"] = {"id": f"ch_{self._count}", "payment_method_details": {"card": card["card"]}}
        intent["status"], intent["last_payment_error"] = "succeeded", None
        self._tell("payment_intent.succeeded", {**intent, "latest_charge": intent["latest_charge"]["id"]})
        return intent

    def _refund(self, form: Json) -> Json:
        intent, amount = self._find(self.intents, form["payment_intent"]), int(form["amount"])
        back = self._refunded(intent["id"])
        if back + amount > intent["amount"]:
            full = back == intent["amount"]
            raise Answer(400, "invalid_request_error", "charge_already_refunded" if full else "amount_too_large")
        refund = self._keep(self.refunds, "re", payment_intent=intent["id"], amount=amount, status="succeeded",
                            metadata=_metadata(form))  # fmt: skip
        charge = {"id": intent["latest_charge"]["id"], "amount": intent["amount"], "amount_refunded": back + amount,
                  "payment_intent": intent["id"], "metadata": intent["metadata"]}  # fmt: skip
        self._tell("charge.refunded", charge)
        return refund

    def _refunded(self, intent_id: str) -> int:
        return sum(it["amount"] for it in self.refunds.values() if it["payment_intent"] == intent_id)

    def _card(self, token: str) -> Json:
        brand, last4, _ = CARDS[token]
        card = {"brand": brand, "last4": last4, "exp_month": 12, "exp_year": 2031}
        return self._keep(self.methods, "pm", type="card", token=token, card=card, customer=None)

    def _tell(self, kind: str, about: Mapping[str, Any]) -> None:
        self._count += 1
        copied = json.loads(json.dumps(about))
        self._events.append({"id": f"evt_{self._count}", "type": kind, "data": {"object": copied}, "sent": False})

    def _keep(self, where: dict[str, Json], kind: str, **document: Any) -> Json:
        self._count += 1
        id = f"{kind}_{self._count}"
        where[id] = {"id": id, **document}
        return where[id]

    @staticmethod
    def _find(where: dict[str, Json], id: str) -> Json:
        if id not in where:
            raise Answer(404, "invalid_request_error", "resource_missing")
        return where[id]


async def _torn() -> AsyncIterator[bytes]:
    yield b"{"
    raise ConnectionAbortedError


def _metadata(form: Json) -> Json:
    return {
        name.removeprefix("metadata[").removesuffix("]"): value
        for name, value in form.items()
        if name.startswith("metadata[")
    }
