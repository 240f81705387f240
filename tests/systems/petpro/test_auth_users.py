"""Profiles, users, roles and notifications, and what auth tells its siblings."""

from __future__ import annotations

from uuid import UUID, uuid4

import jwt
import pytest

from freehold import Problem
from systems.petpro.auth.contract import GetUser, GetUsers, SnapshotUsers, UserDeactivated, UserUpdated
from systems.petpro.auth.rules import PERMISSIONS
from systems.petpro.auth.tables import Account, Notification
from systems.petpro.booking.contract import BookingNotification
from tests.systems.petpro.stage import PASSWORD, Stage, invalid, problem, stage_mark

pytestmark = stage_mark


async def test_a_profile_changes_by_what_is_named(stage: Stage) -> None:
    ann = await stage.customer("Ann")
    home = {"street": "Jl. Merdeka 1", "city": "Bandung"}
    wish = {"firstName": "Anna", "phoneNumber": "+62811", "address": home, "notificationPrefs": {"sms": True}}
    changed = (await stage.call("PUT", "/auth/profile", ann, **wish)).json()
    assert (changed["fullName"], changed["phoneNumber"], changed["address"]) == ("Anna Tester", "+62811", home)
    assert changed["notificationPrefs"] == {"email": True, "push": True, "sms": True}
    (event,) = await stage.published(UserUpdated)
    assert (event.full_name, event.phone_number, event.version) == ("Anna Tester", "+62811", 2)
    plain = (await stage.call("PUT", "/auth/profile", ann, address="Jl. Merdeka 2", phone_number=None)).json()
    assert (plain["address"], plain["phoneNumber"], plain["fullName"]) == ("Jl. Merdeka 2", None, "Anna Tester")
    invalid(await stage.call("PUT", "/auth/profile", ann, profilePicture="x" * 501), "profilePicture")


async def test_admins_list_and_search_users(stage: Stage) -> None:
    admin, ann = await stage.admin("Boss"), await stage.customer("Ann")
    stage.clock.advance(seconds=1)
    vet = await stage.vendor("Vet")
    page = await stage.seen("/users?limit=2", admin)
    assert page["data"][0]["email"] == vet.email
    assert page["meta"] == {"page": 1, "limit": 2, "total": 3, "totalPages": 2}
    assert page == await stage.seen("/admin/users?limit=2", admin)
    assert [user["id"] for user in (await stage.seen("/users?role=customer", admin))["data"]] == [str(ann.id)]
    assert [user["id"] for user in (await stage.seen("/users/search?q=ANN", admin))["data"]] == [str(ann.id)]
    assert len((await stage.seen("/users/search?q=tester", admin))["data"]) == 3
    assert (await stage.seen("/users/search?q=%25", admin))["data"] == []
    invalid(await stage.call("GET", "/users/search", admin), "q")
    invalid(await stage.call("GET", "/users?limit=101", admin), "limit")
    invalid(await stage.call("GET", "/users/42", admin), "id")
    problem(await stage.call("GET", f"/users/{uuid4()}", admin), 404, "USER_NOT_FOUND")
    assert "passwordHash" not in page["data"][0]


async def test_a_user_changes_the_own_address_but_takes_nobody_elses(stage: Stage) -> None:
    ann, bob = await stage.customer("Ann"), await stage.customer("Bob")
    changed = await stage.call("PUT", f"/users/{ann.id}", ann, email="ANN@new.example", lastName="Lee")
    assert (changed.json()["email"], changed.json()["fullName"]) == ("ann@new.example", "Ann Lee")
    taken = await stage.call("PUT", f"/users/{ann.id}", ann, email=bob.email)
    problem(taken, 409, "EMAIL_ALREADY_REGISTERED")
    assert [event.email for event in await stage.published(UserUpdated)] == ["ann@new.example"]


async def test_who_is_deactivated_is_gone_everywhere(stage: Stage) -> None:
    admin, made = await stage.admin(), await stage.registered()
    id, headers = made["user"]["id"], {"Authorization": f"Bearer {made['accessToken']}"}
    off = await stage.call("PUT", f"/admin/users/{id}/status", admin, isActive=False, reason="fraud")
    assert off.json()["isActive"] is False
    await stage.call("PUT", f"/admin/users/{id}/status", admin, isActive=False, reason="again")
    (event,) = await stage.published(UserDeactivated)
    assert (str(event.user_id), event.reason, event.version) == (id, "fraud", 2)
    problem(await stage.call("POST", "/auth/refresh", refreshToken=made["refreshToken"]), 401, "UNAUTHORIZED")
    problem(await stage.call("POST", "/auth/login", email="ann@example.com", password=PASSWORD), 401, "UNAUTHORIZED")
    problem(await stage.call("GET", "/auth/me", headers), 401, "UNAUTHORIZED")
    on = await stage.call("PUT", f"/admin/users/{id}/status", admin, isActive=True, reason="a mistake")
    assert on.json()["isActive"] is True
    problem(await stage.call("POST", "/auth/refresh", refreshToken=made["refreshToken"]), 401, "UNAUTHORIZED")
    (again,) = await stage.published(UserUpdated)
    assert (again.is_active, again.version) == (True, 3)
    assert (await stage.call("POST", "/auth/login", email="ann@example.com", password=PASSWORD)).status_code == 200
    assert (await stage.call("DELETE", f"/users/{id}", admin)).status_code == 204
    assert (await stage.call("DELETE", f"/users/{id}", admin)).status_code == 204
    assert [event.reason for event in await stage.published(UserDeactivated)] == ["fraud", "deleted"]
    assert [row.is_active for row in await stage.rows("auth", Account, Account.id == UUID(id))] == [False]
    problem(await stage.call("DELETE", f"/users/{uuid4()}", admin), 404, "USER_NOT_FOUND")
    problem(await stage.call("PUT", f"/admin/users/{uuid4()}/status", admin, isActive=True), 404, "USER_NOT_FOUND")
    invalid(await stage.call("PUT", f"/admin/users/{id}/status", admin, reason="why"), "isActive")


async def test_roles_are_given_and_taken(stage: Stage) -> None:
    admin, made = await stage.admin(), await stage.registered()
    id = made["user"]["id"]
    held = await stage.call("POST", f"/users/{id}/roles", admin, role="vendor")
    assert held.status_code == 201
    assert (held.json()["role"], [role["name"] for role in held.json()["roles"]]) == ("vendor", ["customer", "vendor"])
    problem(await stage.call("POST", f"/users/{id}/roles", admin, role="vendor"), 409, "ROLE_ALREADY_ASSIGNED")
    problem(await stage.call("POST", f"/users/{id}/roles", admin, role="pope"), 404, "ROLE_NOT_FOUND")
    problem(await stage.call("POST", f"/users/{uuid4()}/roles", admin, role="vendor"), 404, "USER_NOT_FOUND")
    signed_in = await stage.made("/auth/login", None, email="ann@example.com", password=PASSWORD)
    claims = jwt.decode(signed_in["accessToken"], options={"verify_signature": False})
    assert (claims["role"], claims["roles"]) == ("vendor", ["customer", "vendor"])
    assert {"create_clinics", "create_pets"} <= set(claims["permissions"])
    vendor = next(role["id"] for role in held.json()["roles"] if role["name"] == "vendor")
    assert (await stage.call("DELETE", f"/users/{id}/roles/{vendor}", admin)).status_code == 204
    problem(await stage.call("DELETE", f"/users/{id}/roles/{vendor}", admin), 404, "ROLE_NOT_FOUND")
    events = await stage.published(UserUpdated)
    assert [(event.roles, event.version) for event in events] == [(["customer", "vendor"], 2), (["customer"], 3)]


async def test_roles_are_made_and_their_permissions_set(stage: Stage) -> None:
    admin = await stage.admin()
    made = await stage.made("/roles", admin, name="auditor", description="Looks", permissions=["view_analytics"])
    assert made["permissions"] == ["view_analytics"]
    problem(await stage.call("POST", "/roles", admin, name="auditor"), 409, "ROLE_EXISTS")
    invalid(await stage.call("POST", "/roles", admin, name="Über"), "name")
    path = f"/roles/{made['id']}/permissions"
    wish = ["export_reports", "view_analytics", "export_reports"]
    changed = await stage.call("PUT", path, admin, permissions=wish)
    assert changed.json()["permissions"] == ["export_reports", "view_analytics"]
    invalid(await stage.call("PUT", path, admin, permissions=["fly"]), "permissions")
    problem(await stage.call("PUT", f"/roles/{uuid4()}/permissions", admin, permissions=[]), 404, "ROLE_NOT_FOUND")
    fixed = next(role for role in (await stage.seen("/roles", admin))["data"] if role["name"] == "admin")
    problem(await stage.call("PUT", f"/roles/{fixed['id']}/permissions", admin, permissions=[]), 409, "ROLE_FIXED")
    assert len(fixed["permissions"]) == len(PERMISSIONS) == 40
    await stage.call("PUT", path, admin, permissions=[])
    roles = (await stage.seen("/roles", admin))["data"]
    assert next(role for role in roles if role["name"] == "auditor")["permissions"] == []


async def test_a_notification_goes_through_the_channels_that_are_switched_on(stage: Stage) -> None:
    ann, bob = await stage.customer("Ann"), await stage.customer("Bob")
    await stage.call("PUT", "/auth/profile", ann, notificationPrefs={"push": False, "sms": True})
    booking_id, event_id = uuid4(), uuid4()

    def told(user_id: UUID, title: str) -> BookingNotification:
        return BookingNotification(
            user_id=user_id, booking_id=booking_id, type="booking_confirmed", title=title, content="See you", data={}
        )

    await stage.world.deliver("auth", told(ann.id, "Confirmed"), times=3, event_id=event_id)
    stage.clock.advance(seconds=1)
    await stage.world.deliver("auth", told(ann.id, "Reminder"))
    await stage.world.deliver("auth", told(uuid4(), "To nobody"))
    newest, oldest = (await stage.seen("/notifications", ann))["data"]
    assert (newest["title"], oldest["title"]) == ("Reminder", "Confirmed")
    assert (oldest["channels"], oldest["bookingId"], oldest["isRead"]) == (["email", "sms"], str(booking_id), False)
    path = f"/notifications/{oldest['id']}/read"
    read = (await stage.call("PATCH", path, ann)).json()
    assert read["isRead"] is True
    stage.clock.advance(seconds=1)
    assert (await stage.call("PATCH", path, ann)).json()["readAt"] == read["readAt"], "once read it stays so"
    assert [each["id"] for each in (await stage.seen("/notifications?unread=true", ann))["data"]] == [newest["id"]]
    assert (await stage.seen("/notifications", bob))["data"] == []
    problem(await stage.call("PATCH", path, bob), 403, "FORBIDDEN")
    problem(await stage.call("PATCH", f"/notifications/{uuid4()}/read", ann), 404, "NOTIFICATION_NOT_FOUND")
    kept = await stage.rows("auth", Notification, Notification.source_event_id == event_id)
    assert len(kept) == 1


async def test_siblings_get_users_without_anything_secret(stage: Stage) -> None:
    people = [await stage.customer() for _ in range(3)]
    one = await stage.ask("auth", GetUser(user_id=people[0].id))
    assert (one.email, one.roles, one.is_active, one.version) == (people[0].email, ["customer"], True, 1)
    assert not [name for name in type(one).model_fields if "password" in name or "hash" in name]
    with pytest.raises(Problem, match="USER_NOT_FOUND"):
        await stage.ask("auth", GetUser(user_id=uuid4()))
    found = await stage.ask("auth", GetUsers(user_ids=[people[2].id, people[1].id, uuid4()]))
    assert [user.user_id for user in found] == sorted([people[1].id, people[2].id])
    first = await stage.ask("auth", SnapshotUsers(limit=2))
    rest = await stage.ask("auth", SnapshotUsers(cursor=first.next_cursor, limit=2))
    assert [user.user_id for user in (*first.data, *rest.data)] == sorted(person.id for person in people)
    assert rest.next_cursor is None
