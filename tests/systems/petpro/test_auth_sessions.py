"""Registering, logging in, refreshing and logging out."""

from __future__ import annotations

import asyncio
from typing import Any

import jwt

from systems.petpro.auth.contract import UserCreated
from systems.petpro.auth.rules import PERMISSIONS, ROLES
from systems.petpro.auth.tables import Account, Session
from tests.systems.petpro.stage import PASSWORD, Headers, Stage, invalid, problem, stage_mark

pytestmark = stage_mark


def bearer(signed_in: dict[str, Any]) -> Headers:
    return {"Authorization": f"Bearer {signed_in['accessToken']}"}


async def test_whoever_registers_is_signed_in_with_what_their_role_permits(stage: Stage) -> None:
    made = await stage.registered("  Ann@Example.COM ", phoneNumber="+62 811 1234")
    assert (made["expiresIn"], made["tokenType"]) == (3600, "Bearer")
    user = made["user"]
    assert user == {
        "id": user["id"], "email": "ann@example.com", "firstName": "Ann", "lastName": "Lee", "role": "customer",
    }  # fmt: skip
    claims = jwt.decode(made["accessToken"], options={"verify_signature": False})
    assert (claims["sub"], claims["email"], claims["role"]) == (user["id"], "ann@example.com", "customer")
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["roles"] == ["customer"]
    assert set(claims["permissions"]) == set(ROLES["customer"])
    me = await stage.seen("/auth/me", bearer(made))
    assert me == await stage.seen("/auth/profile", bearer(made))
    assert me["fullName"] == "Ann Lee"
    assert me["notificationPrefs"] == {"email": True, "push": True, "sms": False}
    assert (me["isActive"], me["roles"], set(me["permissions"])) == (True, ["customer"], set(ROLES["customer"]))
    (event,) = await stage.published(UserCreated)
    assert (str(event.user_id), event.email, event.full_name) == (user["id"], "ann@example.com", "Ann Lee")
    assert (event.phone_number, event.roles, event.is_active, event.version) == ("+62 811 1234", ["customer"], True, 1)


async def test_an_address_registers_once(stage: Stage) -> None:
    await stage.registered()
    body = {"email": "ANN@example.com", "password": PASSWORD, "fullName": "Ann"}
    problem(await stage.call("POST", "/auth/register", **body), 409, "EMAIL_ALREADY_REGISTERED")
    assert len(await stage.rows("auth", Account)) == 1


async def test_of_many_who_register_one_address_at_once_one_gets_it(stage: Stage) -> None:
    body = {"email": "ann@example.com", "password": PASSWORD, "fullName": "Ann Lee"}
    answers = await asyncio.gather(*(stage.http.post("/api/v1/auth/register", json=body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_what_cannot_be_registered(stage: Stage) -> None:
    good = {"email": "ann@example.com", "password": PASSWORD, "firstName": "Ann", "lastName": "Lee"}
    for wrong, field in [
        ({"email": "ann"}, "email"),
        ({"email": "a" * 90 + "@example.com"}, "email"),
        ({"password": "secret12"}, "password"),
        ({"password": "SECRET12"}, "password"),
        ({"password": "Secrets"}, "password"),
        ({"password": "Aa1" * 40}, "password"),
        ({"confirmPassword": "Secret124"}, "confirmPassword"),
        ({"role": "admin"}, "role"),
        ({"firstName": "x" * 51}, "firstName"),
        ({"lastName": None}, "body"),
        ({"phoneNumber": "call me"}, "phoneNumber"),
    ]:
        invalid(await stage.call("POST", "/auth/register", **(good | wrong)), field)
    problem(
        await stage.http.post("/api/v1/auth/register", content="{", headers={"Content-Type": "application/json"}),
        400, "MALFORMED_JSON",
    )  # fmt: skip
    assert await stage.rows("auth", Account) == []


async def test_names_of_several_words_stay_as_they_were_given(stage: Stage) -> None:
    made = await stage.registered(firstName="Mary Ann", lastName="van der Lee")
    assert (made["user"]["firstName"], made["user"]["lastName"]) == ("Mary Ann", "van der Lee")
    changed = await stage.call("PUT", "/auth/profile", bearer(made), lastName="Lee")
    assert (changed.json()["firstName"], changed.json()["fullName"]) == ("Mary Ann", "Mary Ann Lee")
    other = await stage.registered("bo@example.com", firstName=None, lastName=None, fullName="Bo Li Chan")
    assert (other["user"]["firstName"], other["user"]["lastName"]) == ("Bo", "Li Chan")


async def test_a_login_needs_the_password(stage: Stage) -> None:
    await stage.registered()
    stage.clock.advance(minutes=1)
    made = await stage.made("/auth/login", None, email=" ANN@example.com", password=PASSWORD)
    assert made["user"]["email"] == "ann@example.com"
    (account,) = await stage.rows("auth", Account)
    assert account.last_login_at == stage.clock.now()
    for email, password in (("ann@example.com", "Wrong123"), ("bob@example.com", PASSWORD)):
        problem(await stage.call("POST", "/auth/login", email=email, password=password), 401, "UNAUTHORIZED")


async def test_five_wrong_passwords_lock_an_address_for_a_quarter_of_an_hour(stage: Stage) -> None:
    await stage.registered()

    async def login(password: str) -> Any:
        return await stage.call("POST", "/auth/login", email="ann@example.com", password=password)

    for _ in range(4):
        problem(await login("Wrong123"), 401, "UNAUTHORIZED")
    assert (await login(PASSWORD)).status_code == 200, "four are forgiven, and forgotten by a good login"
    for _ in range(5):
        problem(await login("Wrong123"), 401, "UNAUTHORIZED")
    locked = await login(PASSWORD)
    problem(locked, 429, "RATE_LIMIT_EXCEEDED")
    assert locked.headers["Retry-After"] == "900"
    stage.clock.advance(minutes=14, seconds=59)
    assert (await login(PASSWORD)).headers["Retry-After"] == "1"
    stage.clock.advance(seconds=1)
    assert (await login(PASSWORD)).status_code == 200


async def test_an_unknown_address_is_locked_like_a_known_one(stage: Stage) -> None:
    got = [
        (await stage.call("POST", "/auth/login", email="nobody@example.com", password="Wrong123")).status_code
        for _ in range(6)
    ]
    assert got == [401, 401, 401, 401, 401, 429]


async def test_guesses_sent_all_at_once_are_five(stage: Stage) -> None:
    await stage.registered()
    body = {"email": "ann@example.com", "password": "Wrong123"}
    answers = await asyncio.gather(*(stage.http.post("/api/v1/auth/login", json=body) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 7


async def test_a_refresh_token_is_good_once_and_a_second_use_ends_the_family(stage: Stage) -> None:
    made = await stage.registered()
    first = made["refreshToken"]
    second = (await stage.made("/auth/refresh", None, refresh_token=first))["refreshToken"]
    third = (await stage.made("/auth/refresh-token", None, refreshToken=second))["refreshToken"]
    assert len({first, second, third}) == 3
    other = await stage.made("/auth/login", None, email="ann@example.com", password=PASSWORD)
    problem(await stage.call("POST", "/auth/refresh", refreshToken=first), 401, "UNAUTHORIZED")
    problem(await stage.call("POST", "/auth/refresh", refreshToken=third), 401, "UNAUTHORIZED")
    assert (await stage.call("POST", "/auth/refresh", refreshToken=other["refreshToken"])).status_code == 200
    problem(await stage.call("POST", "/auth/refresh", refreshToken="nonsense"), 401, "UNAUTHORIZED")
    invalid(await stage.call("POST", "/auth/refresh"), "body")


async def test_a_refresh_token_lives_for_seven_days(stage: Stage) -> None:
    made = await stage.registered()
    stage.clock.advance(days=7)
    problem(await stage.call("POST", "/auth/refresh", refreshToken=made["refreshToken"]), 401, "UNAUTHORIZED")
    await stage.world.run_job("auth", "purge_tokens")
    assert await stage.rows("auth", Session) == []


async def test_logging_out_ends_one_session_or_all(stage: Stage) -> None:
    one = await stage.registered()
    two = await stage.made("/auth/login", None, email="ann@example.com", password=PASSWORD)
    bob = await stage.registered("bob@example.com")
    await stage.call("POST", "/auth/logout", bearer(bob), refreshToken=one["refreshToken"])
    one = await stage.made("/auth/refresh", None, refreshToken=one["refreshToken"])
    assert (await stage.call("POST", "/auth/logout", bearer(one), refreshToken=one["refreshToken"])).status_code == 200
    problem(await stage.call("POST", "/auth/refresh", refreshToken=one["refreshToken"]), 401, "UNAUTHORIZED")
    two = await stage.made("/auth/refresh", None, refreshToken=two["refreshToken"])
    assert (await stage.call("POST", "/auth/logout", bearer(two))).json() == {"message": "Logged out"}
    problem(await stage.call("POST", "/auth/refresh", refreshToken=two["refreshToken"]), 401, "UNAUTHORIZED")
    assert (await stage.call("POST", "/auth/refresh", refreshToken=bob["refreshToken"])).status_code == 200


async def test_the_roles_are_there_in_a_database_that_nobody_prepared(stage: Stage) -> None:
    boss = stage.world.as_user(roles=["admin"])
    roles = {role["name"]: role for role in (await stage.seen("/roles", boss))["data"]}
    assert {name: set(role["permissions"]) for name, role in roles.items()} == {k: set(v) for k, v in ROLES.items()}
    permissions = await stage.seen("/permissions?limit=100", boss)
    assert [each["name"] for each in permissions["data"]] == sorted(PERMISSIONS)
    assert len(permissions["data"]) == 40
