"""The gateway that speaks Stripe's interface: payment intents, refunds, customers, saved cards and the portal."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx

from freehold import Clock, ConfigurationError, TimedSignature
from systems.booking_rush.payment.gateway import (
    Card,
    CardRefused,
    ChargeOrder,
    GatewayError,
    GatewayTimeout,
    Intent,
    SavedMethod,
    Transaction,
    Webhook,
)
from systems.booking_rush.payment.stripe_documents import (
    TRY_AGAIN,
    decline_code,
    read_refusal,
    read_transaction,
    read_webhook,
)

API_VERSION = "2024-06-20"
VARIABLE = "FREEHOLD_SERVICES__PAYMENT__SETTINGS__"
UNEXPECTED = "payment_intent_unexpected_state"
"""Stripe's word for an intent that was paid or cancelled already, or has no card yet."""
_STILL_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
_BEST_FIRST = ("succeeded", "pending", "declined")
_WITH_CHARGE = {"expand[]": "latest_charge"}

Document = Mapping[str, Any]
T = TypeVar("T")


class Refused(GatewayError):
    """Stripe answered with an error of ours or of the card's, so that nothing was done."""

    def __init__(self, status: int, error: Document) -> None:
        self.error = error
        self.code = str(error.get("code") or "")
        self.by_card = error.get("type") == "card_error"
        # Not Stripe's own text, which repeats parts of what it was sent.
        super().__init__(f"the gateway answered {status} {error.get('type') or 'error'} {self.code}".strip())


class StripeGateway:
    """Charges through Stripe, or whatever answers like it.

    A payment has one payment intent, which Stripe charges once at most. That is why another try after an answer that
    was lost does no harm, although it needs a key of its own: under the same one Stripe repeats its first answer.

    Args:
        clock: where the time comes from.
        secret_key: sent as the bearer token; from the environment.
        webhook_secret: that its webhooks are signed with; from the environment.
        api_base: where the interface is.
        timeout: seconds for one answer.
        tolerance: seconds that a webhook's signature may be old.

    Raises:
        ConfigurationError: a secret is missing.
    """

    name = "stripe"

    def __init__(
        self,
        clock: Clock,
        *,
        secret_key: str,
        webhook_secret: str,
        api_base: str = "https://api.stripe.com",
        timeout: float = 10.0,
        tolerance: float = 300.0,
    ) -> None:
        for field, secret in (("stripe_secret_key", secret_key), ("stripe_webhook_secret", webhook_secret)):
            if not secret:
                raise ConfigurationError(
                    f"services.payment.settings.{field}",
                    "is empty, and payment_gateway is 'stripe'",
                    f"Set the variable {VARIABLE}{field.upper()}",
                )
        self._signature = TimedSignature(webhook_secret, tolerance=tolerance, clock=clock)
        self._http = httpx.AsyncClient(
            base_url=api_base,
            headers={"Authorization": f"Bearer {secret_key}", "Stripe-Version": API_VERSION},
            timeout=timeout,
        )

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    # --- charges ------------------------------------------------------------------------------------------------------

    async def tokenize(self, card: Card) -> str:
        form = {"type": "card", "card[number]": card.number, "card[exp_month]": card.exp_month,
                "card[exp_year]": card.exp_year, "card[cvc]": card.cvc}  # fmt: skip
        try:
            return _read(lambda made: str(made["id"]), await self._post("/v1/payment_methods", form))
        except Refused as refused:
            if refused.by_card:
                raise CardRefused(decline_code(refused.error)) from None
            raise

    async def charge(self, order: ChargeOrder) -> Transaction:
        intent_id = order.intent_id or await self._open(order)
        form = {**_method(order.card_token), **_WITH_CHARGE}
        try:
            intent = await self._post(
                f"{_intent(intent_id)}/confirm", form, key=f"confirm:{order.payment_id}:{order.attempt}"
            )
        except Refused as refused:
            if refused.code == TRY_AGAIN:
                raise
            if refused.by_card:
                return read_refusal(self.name, intent_id, order.amount, refused.error)
            if refused.code != UNEXPECTED:
                raise
            intent = await self._get(_intent(intent_id), _WITH_CHARGE)  # an earlier try did it, or there is no card
        transaction = _read(lambda found: read_transaction(self.name, found), intent)
        if transaction is not None:
            return transaction
        return Transaction(
            self.name, intent_id, "declined", order.amount, code="payment_method_required", message="A card is needed"
        )

    async def _open(self, order: ChargeOrder) -> str:
        """The payment's intent. Whatever goes wrong, nothing was charged yet."""
        try:
            return _read(lambda made: str(made["id"]), await self._create(order))
        except GatewayTimeout as error:
            raise GatewayError(str(error)) from error

    async def get_transaction(self, payment_id: UUID) -> Transaction | None:
        query = {"query": f"metadata['payment_id']:'{payment_id}'", "expand[]": "data.latest_charge"}
        page = await self._get("/v1/payment_intents/search", query)
        known = _read(lambda found: [read_transaction(self.name, each) for each in found["data"]], page)
        tried = [transaction for transaction in known if transaction is not None]
        return min(tried, key=lambda transaction: _BEST_FIRST.index(transaction.status), default=None)

    async def refund(self, transaction_id: str, amount: int, *, key: str) -> None:
        made = await self._get("/v1/refunds", {"payment_intent": transaction_id, "limit": 100})
        ours = _read(lambda found: [str(each["status"]) for each in found["data"] if _key(each) == key], made)
        failed = [status for status in ours if status in ("failed", "canceled")]
        if len(ours) > len(failed):
            self._check_refunded("succeeded" if "succeeded" in ours else "pending")
            return
        form = {"payment_intent": transaction_id, "amount": amount, "metadata[key]": key}
        try:
            refund = await self._post("/v1/refunds", form, key=f"{key}:{len(failed)}")
        except Refused as refused:
            if refused.code == "charge_already_refunded":
                return
            raise
        self._check_refunded(_read(lambda document: str(document["status"]), refund))

    @staticmethod
    def _check_refunded(status: str) -> None:
        if status != "succeeded":
            raise GatewayError(f"the refund is {status}")

    # --- the gateway's own form ---------------------------------------------------------------------------------------

    async def create_intent(self, order: ChargeOrder, customer_id: str | None) -> Intent:
        known = order.intent_id
        document = await (self._create(order) if known is None else self._get(_intent(known), _WITH_CHARGE))
        intent = self._read_intent(document)
        if customer_id and document.get("customer") != customer_id and intent.status in _STILL_OPEN:
            # Not when it is made: the same key must come with the same order, whether a customer was known or not.
            return self._read_intent(await self._post(_intent(intent.id), {"customer": customer_id}))
        return intent

    async def confirm_intent(self, intent_id: str) -> Intent:
        intent = self._read_intent(await self._get(_intent(intent_id), _WITH_CHARGE))
        if intent.status != "requires_confirmation":
            return intent
        try:
            confirmed = await self._post(
                f"{_intent(intent_id)}/confirm", _WITH_CHARGE, key=f"confirm-intent:{intent_id}"
            )
        except Refused as refused:
            if not refused.by_card:
                raise
            confirmed = await self._get(_intent(intent_id), _WITH_CHARGE)
        return self._read_intent(confirmed)

    async def cancel_intent(self, intent_id: str) -> Intent:
        try:
            document = await self._post(f"{_intent(intent_id)}/cancel", _WITH_CHARGE)
        except Refused as refused:
            if refused.code != UNEXPECTED:
                raise
            document = await self._get(_intent(intent_id), _WITH_CHARGE)
        return self._read_intent(document)

    def _read_intent(self, document: Document) -> Intent:
        return _read(
            lambda it: Intent(
                str(it["id"]), str(it["client_secret"]), str(it["status"]), read_transaction(self.name, it)
            ),
            document,
        )

    async def _create(self, order: ChargeOrder) -> Document:
        about = {f"metadata[{name}]": str(getattr(order, name)) for name in ("payment_id", "booking_id", "user_id")}
        form = {
            "amount": order.amount,
            "currency": order.currency.lower(),
            "automatic_payment_methods[enabled]": "true",
            "automatic_payment_methods[allow_redirects]": "never",
            **about,
        }
        return await self._post("/v1/payment_intents", form, key=f"payment:{order.payment_id}")

    # --- customers ----------------------------------------------------------------------------------------------------

    async def create_customer(self, user_id: UUID, email: str | None, name: str | None) -> str:
        about = {name: value for name, value in (("email", email), ("name", name)) if value}
        said = hashlib.sha256(repr(sorted(about.items())).encode()).hexdigest()[:16]  # a key has one content
        form = {**about, "metadata[user_id]": str(user_id)}
        made = await self._post("/v1/customers", form, key=f"customer:{user_id}:{said}")
        return _read(lambda document: str(document["id"]), made)

    async def list_methods(self, customer_id: str) -> Sequence[SavedMethod]:
        customer = await self._get(_customer(customer_id))
        default = (customer.get("invoice_settings") or {}).get("default_payment_method")
        page = await self._get(f"{_customer(customer_id)}/payment_methods", {"type": "card", "limit": 100})
        return _read(lambda found: [_saved(each, default) for each in found["data"]], page)

    async def portal(self, customer_id: str, return_url: str) -> str:
        form = {"customer": customer_id, "return_url": return_url}
        return _read(lambda made: str(made["url"]), await self._post("/v1/billing_portal/sessions", form))

    # --- webhooks -----------------------------------------------------------------------------------------------------

    def verify_webhook(self, body: bytes, signature: str | None) -> Webhook:
        return read_webhook(self.name, body, signature, self._signature)

    # --- the wire -----------------------------------------------------------------------------------------------------

    async def _get(self, path: str, query: Mapping[str, Any] | None = None) -> Document:
        return await self._send("GET", path, params=query)

    async def _post(self, path: str, form: Mapping[str, Any], *, key: str | None = None) -> Document:
        return await self._send("POST", path, data=form, headers={"Idempotency-Key": key} if key else None)

    async def _send(self, method: str, path: str, **request: Any) -> Document:
        try:
            answer = await self._http.request(method, path, **request)
            document = answer.json()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise GatewayError(f"the gateway cannot be reached: {type(error).__name__}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise GatewayTimeout(f"the gateway gave no answer that can be read: {type(error).__name__}") from error
        if not isinstance(document, dict):
            raise GatewayTimeout("the gateway gave no answer that can be read")
        if answer.status_code >= 500 or answer.status_code == 409:  # 409: the first request with the key still runs
            raise GatewayTimeout(f"the gateway answered {answer.status_code}")
        if answer.is_success:
            return document
        reason = document.get("error")
        raise Refused(answer.status_code, reason if isinstance(reason, dict) else {})


def _read(read: Callable[[Document], T], document: Document) -> T:
    try:
        return read(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GatewayTimeout(f"the gateway gave an answer without sense: {type(error).__name__}") from error


def _intent(id: str) -> str:
    return f"/v1/payment_intents/{quote(id, safe='')}"


def _customer(id: str) -> str:
    return f"/v1/customers/{quote(id, safe='')}"


def _key(refund: Document) -> object:
    return (refund.get("metadata") or {}).get("key")


def _method(token: str | None) -> dict[str, str]:
    if token is None:
        return {}
    if token.startswith("tok_"):
        return {"payment_method_data[type]": "card", "payment_method_data[card][token]": token}
    return {"payment_method": token}


def _saved(method: Document, default: object) -> SavedMethod:
    card = method["card"]
    return SavedMethod(
        id=str(method["id"]),
        type=str(method["type"]),
        brand=str(card["brand"]),
        last4=str(card["last4"]),
        exp_month=int(card["exp_month"]),
        exp_year=int(card["exp_year"]),
        is_default=method["id"] == default,
    )
