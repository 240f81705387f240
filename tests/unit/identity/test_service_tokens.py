from uuid import UUID

import jwt
import pytest

from freehold.identity import (
    InvalidToken,
    KeyRing,
    ServiceTokens,
    ServiceTokenVerifier,
    TokenExpired,
    TokenIssuer,
    TokenVerifier,
    UnknownKey,
)
from freehold.model.access import User

ANN = User(
    id=UUID(int=7),
    email="ann@example.com",
    roles=frozenset({"customer"}),
    tenant_id=UUID(int=1),
    claims={"plan": "gold"},
)


@pytest.fixture
def rings(clock):
    return {name: KeyRing.generate(clock=clock) for name in ("booking", "payment", "ticket")}


@pytest.fixture
def booking(rings, clock):
    return ServiceTokens("booking", rings["booking"], clock=clock)


@pytest.fixture
def at_ticket(rings, clock):
    return ServiceTokenVerifier("ticket", rings.get, clock=clock)


def test_the_caller_and_the_user_arrive(booking, at_ticket):
    service, user = at_ticket.verify(booking.issue("ticket", ANN))
    assert (service, user) == ("booking", ANN)
    assert user.claims["plan"] == "gold"


def test_a_call_on_nobody_s_behalf(booking, at_ticket):
    assert at_ticket.verify(booking.issue("ticket")) == ("booking", None)


def test_the_claims(booking, clock):
    body = jwt.decode(booking.issue("ticket", ANN), options={"verify_signature": False})
    now = int(clock.now().timestamp())
    assert (body["iss"], body["aud"], body["sub"], body["exp"] - now) == ("booking", "ticket", str(ANN.id), 60)


def test_it_lives_a_minute_exactly(booking, at_ticket, clock):
    token = booking.issue("ticket", ANN)
    at_ticket.verify(token)
    clock.advance(59.999)
    at_ticket.verify(token)
    clock.advance(0.001)
    with pytest.raises(TokenExpired):
        at_ticket.verify(token)


def test_it_opens_one_service_only(booking, rings, clock):
    at_payment = ServiceTokenVerifier("payment", rings.get, clock=clock)
    with pytest.raises(InvalidToken, match="another audience"):
        at_payment.verify(booking.issue("ticket", ANN))


def test_a_service_cannot_speak_as_another(rings, at_ticket, clock):
    with pytest.raises(UnknownKey):
        at_ticket.verify(ServiceTokens("booking", rings["payment"], clock=clock).issue("ticket"))


def test_a_forged_signature_under_the_caller_s_key_id(rings, at_ticket, clock):
    token = ServiceTokens("booking", rings["booking"], clock=clock).issue("ticket")
    other = ServiceTokens("booking", rings["payment"], clock=clock).issue("ticket")
    header, body, _ = token.split(".")
    with pytest.raises(InvalidToken, match="signature does not match"):
        at_ticket.verify(".".join((header, body, other.split(".")[2])))


def test_an_unknown_service_is_refused(at_ticket, clock):
    with pytest.raises(InvalidToken, match="unknown service"):
        at_ticket.verify(ServiceTokens("mallory", KeyRing.generate(), clock=clock).issue("ticket"))


@pytest.mark.parametrize("token", ["", "..", "a.b.c", "x" * 9000, "e30.e30.", "e30.W10."])
def test_text_that_is_no_token(at_ticket, token):
    with pytest.raises(InvalidToken):
        at_ticket.verify(token)


def test_access_tokens_and_service_tokens_are_never_confused(rings, at_ticket, clock):
    ring = rings["booking"]
    access = TokenIssuer(ring, issuer="booking", audience="ticket", clock=clock).issue(ANN)
    with pytest.raises(InvalidToken, match="another kind"):
        at_ticket.verify(access)
    service = ServiceTokens("booking", ring, clock=clock).issue("ticket", ANN)
    with pytest.raises(InvalidToken, match="another kind"):
        TokenVerifier(ring, issuer="booking", audience="ticket", clock=clock).verify(service)


def test_a_token_is_used_again_for_half_its_life(booking, clock):
    first = booking.issue("ticket", ANN)
    clock.advance(29.999)
    assert booking.issue("ticket", ANN) is first
    clock.advance(0.001)
    assert booking.issue("ticket", ANN) != first


def test_no_token_is_used_for_another_user_or_target(booking):
    same = User(id=ANN.id, email=ANN.email, roles=ANN.roles, tenant_id=ANN.tenant_id, claims={"plan": "none"})
    assert same == ANN
    tokens = {
        booking.issue("ticket", ANN),
        booking.issue("ticket", same),
        booking.issue("payment", ANN),
        booking.issue("ticket"),
    }
    assert len(tokens) == 4


def test_no_token_of_a_rotated_key_is_used_again(booking, rings, at_ticket):
    first = booking.issue("ticket", ANN)
    rings["booking"].rotate(keep=60)
    second = booking.issue("ticket", ANN)
    assert second != first
    assert at_ticket.verify(second) == at_ticket.verify(first)


def test_both_memories_are_bounded(rings, clock):
    issuing = ServiceTokens("booking", rings["booking"], clock=clock, cache_size=2)
    verifying = ServiceTokenVerifier("ticket", rings.get, clock=clock, cache_size=2)
    for number in range(5):
        verifying.verify(issuing.issue("ticket", User(id=UUID(int=number))))
    assert len(issuing._issued) == len(verifying._passed) == 2
