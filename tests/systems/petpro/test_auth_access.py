"""Who may call the routes of auth."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from freehold import uuid7
from systems.petpro.auth.service import auth
from systems.petpro.auth.tables import Notification
from tests.systems.petpro.access import Rule, check, check_internal, declared, shape
from tests.systems.petpro.stage import PASSWORD, Stage, stage_mark

pytestmark = stage_mark

EVERYBODY = "nobody ann bob vendor staff admin"
SIGNED_IN = "ann bob vendor staff admin"
CODE = {"type": "login", "deliveryMethod": "email", "deliveryTarget": "{fresh}@example.com"}
NEW = {"email": "{fresh}@example.com", "password": PASSWORD, "fullName": "New One"}

RULES = [
    Rule("POST /auth/register", EVERYBODY, NEW),
    Rule("POST /auth/login", EVERYBODY, {"email": "{email}", "password": PASSWORD}),
    Rule("POST /auth/refresh", EVERYBODY, {"refreshToken": "{refresh}"}),
    Rule("POST /auth/refresh-token", EVERYBODY, {"refreshToken": "{refresh}"}),
    Rule("POST /auth/logout", SIGNED_IN),
    Rule("GET /auth/me", SIGNED_IN),
    Rule("GET /auth/profile", SIGNED_IN),
    Rule("PUT /auth/profile", SIGNED_IN, {"address": "Home"}),
    Rule("POST /auth/otp/send", EVERYBODY, CODE),
    Rule("POST /auth/otp/verify", EVERYBODY, {"otpId": "{otp}", "otpCode": "{code}"}),
    Rule("POST /users/password-reset/request", EVERYBODY, {"email": "{fresh}@example.com"}),
    Rule("POST /users/password-reset", EVERYBODY, {"token": "{reset}", "newPassword": "Better456"}),
    *(rule for start in ("", "/admin") for rule in (
        Rule(f"GET {start}/users", "admin"),
        Rule(f"GET {start}/users/search", "admin", query="?q=ann"),
        Rule(f"DELETE {start}/users/{{other}}", "admin"),
    )),
    Rule("GET /users/{ann}", "ann admin"),
    Rule("PUT /users/{ann}", "ann admin", {"lastName": "Lee"}),
    Rule("GET /admin/users/{ann}", "admin"),
    Rule("PUT /admin/users/{ann}", "admin", {"lastName": "Lee"}),
    Rule("PUT /admin/users/{other}/status", "admin", {"isActive": False}),
    Rule("GET /roles", "admin"),
    Rule("POST /roles", "admin", {"name": "{word}"}),
    Rule("PUT /roles/{role}/permissions", "admin", {"permissions": []}),
    Rule("GET /permissions", "admin"),
    Rule("POST /users/{other}/roles", "admin", {"role": "staff"}),
    Rule("DELETE /users/{holder}/roles/{held}", "admin"),
    Rule("GET /notifications", SIGNED_IN),
    Rule("PATCH /notifications/{notification}/read", "ann"),
]  # fmt: skip


async def test_every_declared_route_has_its_line() -> None:
    assert sorted(shape(rule.route) for rule in RULES) == declared(auth)


async def test_who_may_call_auth(stage: Stage) -> None:
    ann, admin = await stage.customer("Ann"), await stage.admin()
    callers = {
        "nobody": None, "ann": ann, "bob": await stage.customer("Bob"), "vendor": await stage.vendor(),
        "staff": await stage.staff(), "admin": admin,
    }  # fmt: skip

    async def somebody() -> Sequence[str]:
        email = f"{uuid4().hex}@example.com"
        made = await stage.registered(email)
        return made["user"]["id"], email, made["refreshToken"]

    async def code() -> Sequence[str]:
        phone = f"+{uuid4().int % 10**12:012}"
        await stage.person(phone=phone)
        sent = await stage.made("/auth/otp/send", None, type="login", deliveryMethod="sms", deliveryTarget=phone)
        return sent["otpId"], stage.sent.sent_to(phone)[-1].code

    async def reset() -> Sequence[str]:
        _, email, _ = await somebody()
        await stage.call("POST", "/users/password-reset/request", email=email)
        message = stage.sent.sent_to(email)[-1]
        verified = await stage.made("/auth/otp/verify", None, otpId=str(message.otp_id), otpCode=message.code)
        return [verified["resetToken"]]

    async def role() -> Sequence[str]:
        return [(await stage.made("/roles", admin, name=_word()))["id"]]

    async def holder() -> Sequence[str]:
        id, _, _ = await somebody()
        held = await stage.made(f"/users/{id}/roles", admin, role="vendor")
        return id, next(role["id"] for role in held["roles"] if role["name"] == "vendor")

    async def fresh() -> Sequence[str]:
        return uuid4().hex, _word()

    async def notification() -> Sequence[str]:
        return [str(await _notified(stage, ann.id))]

    async def herself() -> Sequence[str]:
        return [str(ann.id)]

    makers = {
        "other email refresh": somebody, "otp code": code, "reset": reset, "role": role, "holder held": holder,
        "fresh word": fresh, "notification": notification, "ann": herself,
    }  # fmt: skip
    await check(stage, RULES, callers, makers)


async def _notified(stage: Stage, user_id: UUID) -> UUID:
    notification = Notification(
        id=uuid7(), user_id=user_id, source_event_id=uuid4(), type="booking_confirmed", title="Hello", content="…",
        channels=[], created_at=stage.clock.now(),
    )  # fmt: skip
    async with stage.world.work("auth").transaction() as tx:
        tx.add(notification)
    return notification.id


def _word() -> str:
    """Letters that nothing else is called by."""
    return "".join(chr(ord("a") + int(digit, 16)) for digit in uuid4().hex)


async def test_what_siblings_ask_is_for_services_alone(stage: Stage) -> None:
    await check_internal(stage, auth)
