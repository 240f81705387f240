"""Payment's copy of who pays."""

from __future__ import annotations

from freehold import Change, View
from systems.booking_rush.auth.contract import SnapshotUsers, UserCreated, UserDeleted, UserUpdated
from systems.booking_rush.payment.declaration import payment
from systems.booking_rush.payment.tables import CustomerDirectory

customers = payment.view(View("customer_directory", table=CustomerDirectory, key="user_id", rebuild=SnapshotUsers))
_CUSTOMER = {"user_id", "tenant_id", "email", "name"}


@customers.on(UserCreated)
def customer_created(event: UserCreated) -> Change:
    return Change({**event.model_dump(include=_CUSTOMER), "deleted": False}, version=event.created_at)


@customers.on(UserUpdated)
def customer_updated(event: UserUpdated) -> Change:
    known = event.model_dump(include={*_CUSTOMER, "stripe_customer_id"})
    return Change({**known, "deleted": False}, version=event.updated_at)


@customers.on(UserDeleted)
def customer_deleted(event: UserDeleted) -> Change:
    return Change({"user_id": event.user_id, "tenant_id": event.tenant_id, "deleted": True}, version=event.deleted_at)
