"""What the gateway keeps for a user: the customer, saved cards, and the page to look after them."""

from __future__ import annotations

from uuid import UUID

from freehold import Problem, User, Work, user
from systems.booking_rush.auth.contract import GetStripeCustomer, GetUser, SetStripeCustomer
from systems.booking_rush.payment.bodies import MethodsOut, PortalIn, PortalOut, SavedMethodOut, gateway_error
from systems.booking_rush.payment.declaration import payment
from systems.booking_rush.payment.gateway import GatewayError, NotSupported, PaymentGateway
from systems.booking_rush.payment.tables import CustomerDirectory


@payment.get("/payments/methods", access=user, errors=[502])
async def list_methods(work: Work, caller: User, gateway: PaymentGateway) -> MethodsOut:
    """The caller's cards that the gateway keeps; none for somebody whom it does not know."""
    customer_id = await _known_customer(caller.id, work)
    try:
        saved = await gateway.list_methods(customer_id) if customer_id else ()
    except GatewayError as error:
        raise gateway_error(error) from None
    methods = [SavedMethodOut.model_validate(each, from_attributes=True) for each in saved]
    return MethodsOut(payment_methods=methods, total=len(methods))


@payment.post("/payments/portal", access=user, idempotency="none", errors=[501, 502])
async def open_portal(body: PortalIn, work: Work, caller: User, gateway: PaymentGateway) -> PortalOut:
    """A page of the gateway where the caller looks after saved cards; it leads back to `return_url`."""
    try:
        customer_id = await customer_of(caller, work, gateway)
        return PortalOut(url=await gateway.portal(customer_id, body.return_url))
    except NotSupported as error:
        raise Problem(501, "NOT_SUPPORTED", f"There is no such page: {error}") from None
    except GatewayError as error:
        raise gateway_error(error) from None


async def customer_of(caller: User, work: Work, gateway: PaymentGateway) -> str:
    """The gateway's id of the caller, who is made known to it at the first need.

    Raises GatewayError, NotSupported where the gateway keeps no customers.
    """
    known = await _known_customer(caller.id, work)
    if known is not None:
        return known
    email, name = await _payer(caller.id, work)
    made = await gateway.create_customer(caller.id, email or caller.email, name)
    await work.ask(SetStripeCustomer(id=caller.id, stripe_customer_id=made))
    return made


async def _known_customer(user_id: UUID, work: Work) -> str | None:
    """Auth is asked where our copy does not know: it may be a moment behind."""
    async with work.transaction(readonly=True) as tx:
        found = await tx.get(CustomerDirectory, user_id)
    if found is not None and found.stripe_customer_id is not None:
        return found.stripe_customer_id
    try:
        return (await work.ask(GetStripeCustomer(id=user_id))).stripe_customer_id
    except Problem as problem:
        if problem.status != 404:
            raise
        return None


async def _payer(user_id: UUID, work: Work) -> tuple[str | None, str | None]:
    async with work.transaction(readonly=True) as tx:
        found = await tx.get(CustomerDirectory, user_id)
    if found is not None:
        return found.email, found.name
    told = await work.ask(GetUser(user_id=user_id))
    return told.email, told.name
