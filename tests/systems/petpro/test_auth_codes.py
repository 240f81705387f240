"""One-time codes, and new passwords for whoever can show one."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from uuid import uuid4

import httpx
import pytest

from freehold import Unavailable
from systems.petpro.auth.otp_sender import CodeMessage, KeepingSender
from systems.petpro.auth.tables import OneTimeCode, Throttle
from tests.systems.petpro.stage import PASSWORD, Stage, invalid, problem, stage_mark

pytestmark = stage_mark

ANN = "ann@example.com"


async def send(stage: Stage, target: str = ANN, kind: str = "login", method: str = "email", **more: Any) -> Any:
    return await stage.call("POST", "/auth/otp/send", type=kind, deliveryMethod=method, deliveryTarget=target, **more)


async def verify(stage: Stage, message: CodeMessage, code: str | None = None) -> httpx.Response:
    return await stage.call("POST", "/auth/otp/verify", otpId=str(message.otp_id), otpCode=code or message.code)


def wrong(message: CodeMessage) -> str:
    return f"{(int(message.code) + 1) % 1_000_000:06}"


async def test_a_code_is_sent_kept_as_a_hash_and_good_once(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await stage.registered()
    answer = await send(stage, " ANN@example.com ")
    assert answer.status_code == 202
    (message,) = stage.sent.sent_to(ANN)[-1:]
    assert answer.json()["otpId"] == str(message.otp_id)
    assert (len(message.code), message.code.isdigit(), message.kind, message.method) == (6, True, "login", "email")
    (kept,) = await stage.rows("auth", OneTimeCode)
    assert message.code not in kept.token_hash
    assert (kept.expires_at - stage.clock.now()).total_seconds() == 300
    assert (await verify(stage, message)).json() == {"success": True, "type": "login", "resetToken": None}
    problem(await verify(stage, message), 400, "OTP_INVALID")
    assert message.code not in repr(message)
    told = caplog.text + str(await all_events(stage))
    assert message.code not in told
    assert message.target not in caplog.text


async def all_events(stage: Stage) -> list[str]:
    async with stage.host("auth").engine.read() as connection:
        rows = await connection.execute(stage.host("auth").tables.outbox.select())
        return [str(row.payload) for row in rows]


async def test_three_wrong_guesses_spend_a_code(stage: Stage) -> None:
    await stage.registered()
    await send(stage)
    message = stage.sent.sent_to(ANN)[-1]
    for left in (2, 1, 0):
        answer = await verify(stage, message, wrong(message))
        problem(answer, 400, "OTP_INVALID")
        assert answer.json()["remainingAttempts"] == left
    problem(await verify(stage, message), 400, "OTP_INVALID")
    problem(await stage.call("POST", "/auth/otp/verify", otpId=str(uuid4()), otpCode="123456"), 400, "OTP_INVALID")


async def test_guesses_at_the_same_time_are_three_too(stage: Stage) -> None:
    await stage.registered()
    await send(stage)
    message = stage.sent.sent_to(ANN)[-1]
    body = {"otpId": str(message.otp_id), "otpCode": wrong(message)}
    answers = await asyncio.gather(*(stage.http.post("/api/v1/auth/otp/verify", json=body) for _ in range(8)))
    assert sorted(answer.json()["remainingAttempts"] for answer in answers) == [0, 0, 0, 0, 0, 0, 1, 2]
    (kept,) = await stage.rows("auth", OneTimeCode)
    assert kept.attempts == 3


async def test_a_code_expires_after_five_minutes_and_is_deleted_a_day_later(stage: Stage) -> None:
    await stage.registered()
    await send(stage)
    message = stage.sent.sent_to(ANN)[-1]
    stage.clock.advance(seconds=300)
    problem(await verify(stage, message), 410, "OTP_EXPIRED")
    stage.clock.advance(hours=24)
    await stage.world.run_job("auth", "purge_tokens")
    assert len(await stage.rows("auth", OneTimeCode)) == 1
    stage.clock.advance(seconds=1)
    await stage.world.run_job("auth", "purge_tokens")
    assert await stage.rows("auth", OneTimeCode) == []
    assert await stage.rows("auth", Throttle) == []


async def test_a_new_code_of_a_type_makes_the_earlier_one_worthless(stage: Stage) -> None:
    await stage.registered()
    await send(stage)
    stage.clock.advance(seconds=60)
    await send(stage, kind="transaction")
    stage.clock.advance(seconds=60)
    await send(stage)
    first, other, second = stage.sent.sent_to(ANN)[-3:]
    problem(await verify(stage, first), 400, "OTP_INVALID")
    assert (await verify(stage, other)).status_code == 200
    assert (await verify(stage, second)).status_code == 200


@pytest.mark.parametrize("target", [ANN, "nobody@example.com"])
async def test_an_address_gets_a_code_a_minute_and_three_an_hour(stage: Stage, target: str) -> None:
    await stage.registered()
    assert (await send(stage, target)).status_code == 202
    stage.clock.advance(seconds=59)
    soon = await send(stage, target)
    problem(soon, 429, "RATE_LIMIT_EXCEEDED")
    assert soon.headers["Retry-After"] == "1"
    assert (await send(stage, "bob@example.com")).status_code == 202, "another address has nothing to do with it"
    stage.clock.advance(seconds=1)
    assert (await send(stage, target)).status_code == 202
    stage.clock.advance(seconds=60)
    assert (await send(stage, target)).status_code == 202
    stage.clock.advance(seconds=60)
    assert (await send(stage, target)).headers["Retry-After"] == str(3600 - 180)
    stage.clock.advance(seconds=3600 - 180)
    assert (await send(stage, target)).status_code == 202


async def test_a_phone_number_reaches_its_only_owner(stage: Stage) -> None:
    await stage.registered(phoneNumber="+62811")
    assert (await send(stage, "+62811", method="sms")).status_code == 202
    assert stage.sent.sent_to("+62811")[-1].method == "sms"
    await stage.registered("bob@example.com", phoneNumber="+62812")
    await stage.registered("eve@example.com", phoneNumber="+62812")
    assert (await send(stage, "+62812", method="sms")).status_code == 202
    assert stage.sent.sent_to("+62812") == [], "nobody knows whose it is"
    invalid(await send(stage, ANN, method="sms"), "deliveryTarget")
    invalid(await send(stage, "+62811"), "deliveryTarget")
    invalid(await send(stage, method="pigeon"), "deliveryMethod")
    invalid(await send(stage, kind="tea"), "type")


async def test_a_new_address_is_shown_to_be_ones_own(stage: Stage) -> None:
    made = await stage.registered()
    headers = {"Authorization": f"Bearer {made['accessToken']}"}
    body = {"type": "email_change", "deliveryMethod": "email", "deliveryTarget": "new@example.com"}
    problem(await stage.call("POST", "/auth/otp/send", **body), 401, "UNAUTHORIZED")
    assert (await stage.call("POST", "/auth/otp/send", headers, **body)).status_code == 202
    (message,) = stage.sent.sent_to("new@example.com")
    assert (await verify(stage, message)).json()["type"] == "email_change"


async def test_with_a_stolen_access_token_no_reset_goes_to_another_address(stage: Stage) -> None:
    made = await stage.registered()
    thief = {"Authorization": f"Bearer {made['accessToken']}"}
    body = {"type": "password_reset", "deliveryMethod": "email", "deliveryTarget": "thief@example.com"}
    assert (await stage.call("POST", "/auth/otp/send", thief, **body)).status_code == 202
    assert stage.sent.sent_to("thief@example.com") == []


async def test_a_password_is_reset_with_the_token_of_a_code(stage: Stage) -> None:
    made = await stage.registered()
    known = await stage.call("POST", "/users/password-reset/request", email=ANN)
    unknown = await stage.call("POST", "/users/password-reset/request", email="nobody@example.com")
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    again = await stage.call("POST", "/users/password-reset/request", email=ANN)
    assert (again.status_code, again.json()) == (200, known.json()), "not even that a code was sent just now"
    message = stage.sent.sent_to(ANN)[-1]
    token = (await verify(stage, message)).json()["resetToken"]
    reset = {"token": token, "newPassword": "Better456", "confirmPassword": "Better456"}
    invalid(await stage.call("POST", "/users/password-reset", **(reset | {"newPassword": "weak"})), "newPassword")
    differs = reset | {"confirmPassword": "Other789"}
    invalid(await stage.call("POST", "/users/password-reset", **differs), "confirmPassword")
    problem(
        await stage.call("POST", "/users/password-reset", **(reset | {"token": "made-up"})), 400, "RESET_TOKEN_INVALID"
    )
    for _ in range(5):
        await stage.call("POST", "/auth/login", email=ANN, password="Wrong123")
    assert (await stage.call("POST", "/users/password-reset", **reset)).status_code == 200
    problem(await stage.call("POST", "/auth/refresh", refreshToken=made["refreshToken"]), 401, "UNAUTHORIZED")
    problem(await stage.call("POST", "/auth/login", email=ANN, password=PASSWORD), 401, "UNAUTHORIZED")
    assert (await stage.call("POST", "/auth/login", email=ANN, password="Better456")).status_code == 200
    problem(await stage.call("POST", "/users/password-reset", **reset), 400, "RESET_TOKEN_INVALID")


async def test_the_token_of_a_code_expires_too(stage: Stage) -> None:
    await stage.registered()
    await stage.call("POST", "/users/password-reset/request", email=ANN)
    token = (await verify(stage, stage.sent.sent_to(ANN)[-1])).json()["resetToken"]
    stage.clock.advance(minutes=5)
    answer = await stage.call("POST", "/users/password-reset", resetToken=token, newPassword="Better456")
    problem(answer, 400, "RESET_TOKEN_INVALID")


async def test_a_provider_that_does_not_answer(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(self: KeepingSender, message: CodeMessage) -> None:
        raise Unavailable("the provider of messages")

    await stage.registered()
    monkeypatch.setattr(KeepingSender, "send", fail)
    problem(await send(stage), 503, "SERVICE_UNAVAILABLE")
    stage.clock.advance(minutes=1)
    assert (await stage.call("POST", "/users/password-reset/request", email=ANN)).status_code == 200
