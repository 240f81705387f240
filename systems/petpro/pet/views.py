"""Pet's copies of what others own."""

from __future__ import annotations

from freehold import Change, View
from systems.petpro.auth.contract import GetUser, SnapshotUsers, UserCreated, UserDeactivated, UserUpdated
from systems.petpro.pet.declaration import pet
from systems.petpro.pet.tables import UserRef

users = pet.view(
    View(
        "user_refs",
        table=UserRef,
        key="user_id",
        version="version",
        synced="synced_at",
        rebuild=SnapshotUsers,
        one=GetUser,
    )
)


@users.on(UserCreated, UserUpdated)
def user_known(event: UserCreated | UserUpdated) -> Change:
    return Change(event.model_dump(include={"user_id", "full_name", "is_active"}), version=event.version)


@users.on(UserDeactivated)
def user_deactivated(event: UserDeactivated) -> Change:
    return Change({"user_id": event.user_id, "is_active": False}, version=event.version)
