"""One-time codes, and a new password for whoever can show one."""

from __future__ import annotations

import logging

from freehold import Passwords, Problem, Tx, Unavailable, User, Work, hash_refresh_token, new_refresh_token, public
from systems.petpro.auth.accounts import account_of
from systems.petpro.auth.api import NOT_STORED
from systems.petpro.auth.bodies import CodeGiven, CodeSent, CodeVerified, CodeWanted, Done, PasswordReset, ResetWanted
from systems.petpro.auth.codes import NEW_ADDRESS, Codes, spend_codes
from systems.petpro.auth.declaration import auth
from systems.petpro.auth.rules import subject_hash
from systems.petpro.auth.sessions import end_all
from systems.petpro.auth.settings import AuthSettings
from systems.petpro.auth.tables import OneTimeCode, Throttle

log = logging.getLogger(__name__)


@auth.post("/auth/otp/send", access=public, status_code=202, idempotency=NOT_STORED, errors=[401, 429])
async def send_code(body: CodeWanted, work: Work, caller: User | None, codes: Codes) -> CodeSent:
    """Send a code to an address, where somebody has it."""
    if body.type in NEW_ADDRESS and caller is None:
        raise Problem(401, "UNAUTHORIZED", f"A code of type {body.type} is for somebody who is signed in")
    return await codes.send(body, work, caller)


@auth.post("/auth/otp/verify", access=public, idempotency=NOT_STORED, errors=[410])
async def verify_code(body: CodeGiven, work: Work, passwords: Passwords, settings: AuthSettings) -> CodeVerified:
    """Show that the code arrived. A `password_reset` one is exchanged for the token that the reset asks for.

    A guess is counted before it is looked at, so that guesses at the same time are no more than three either.
    """

    async def count(tx: Tx) -> OneTimeCode:
        code = await tx.get(OneTimeCode, body.otp_id, lock=True)
        if code is None or code.tries_left == 0:
            raise _wrong(0)
        if tx.now() >= code.expires_at:
            raise Problem(410, "OTP_EXPIRED", "The code has expired")
        code.attempts += 1
        return code

    code = await work.run(count)
    if not await passwords.verify(code.token_hash, body.otp_code):
        raise _wrong(code.tries_left)

    async def accept(tx: Tx) -> CodeVerified:
        code = await tx.get(OneTimeCode, body.otp_id, lock=True)
        if code is None or code.is_used:
            raise _wrong(0)
        code.is_used = True
        if code.type != "password_reset":
            return CodeVerified(type=code.type)
        reset = new_refresh_token()
        code.reset_token_hash, code.expires_at = reset.hash, tx.now() + settings.otp_lifetime
        return CodeVerified(type=code.type, reset_token=reset.token)

    return await work.run(accept)


def _wrong(tries_left: int) -> Problem:
    return Problem(400, "OTP_INVALID", "The code is not valid", remainingAttempts=tries_left)


@auth.post("/users/password-reset/request", access=public, idempotency=NOT_STORED)
async def request_reset(body: ResetWanted, work: Work, codes: Codes) -> Done:
    """Send a code to the address, if it is somebody's. The answer is the same whatever happens."""
    wanted = CodeWanted(type="password_reset", delivery_method="email", delivery_target=body.email)
    try:
        await codes.send(wanted, work, None)
    except Problem as limited:
        log.info("no code is sent: %s", limited.code)
    except Unavailable:
        log.warning("a code could not be sent: the provider of messages does not answer")
    return Done(message="If the address is registered, a code is on its way to it")


@auth.post("/users/password-reset", access=public, idempotency=NOT_STORED)
async def reset_password(body: PasswordReset, tx: Tx, passwords: Passwords) -> Done:
    """Set a new password with the token that a code was exchanged for. Every session of the user ends."""
    password_hash = await passwords.hash(body.new_password)
    code = await tx.find(OneTimeCode, OneTimeCode.reset_token_hash == hash_refresh_token(body.token), lock=True)
    invalid = Problem(400, "RESET_TOKEN_INVALID", "The token is not valid, or no longer")
    if code is None or tx.now() >= code.expires_at:
        raise invalid
    account = await account_of(code.user_id, tx)
    if not account.is_active:
        raise invalid
    await spend_codes(account.id, "password_reset", tx)
    account.password_hash = password_hash
    account.updated_at = tx.now()
    await end_all(account.id, tx)
    throttle = await tx.get(Throttle, subject_hash("login", account.email), lock=True)
    if throttle is not None:
        await tx.delete(throttle)
    tx.audit("reset_password", "user", account.id, actor_id=account.id)
    return Done(message="The password is changed; log in with the new one")
