"""Tokens for any other purpose than access: queue passes, signed links."""

from uuid import UUID

import pytest

from freehold.identity import InvalidToken, KeyRing, TokenExpired, TokenIssuer, TokenVerifier
from freehold.model.access import User

ANN = User(id=UUID(int=7))


@pytest.fixture
def ring(clock):
    return KeyRing.generate(clock=clock)


@pytest.fixture
def issuer(ring, clock):
    return TokenIssuer(ring, issuer="auth", audience="shop", clock=clock)


@pytest.fixture
def verifier(ring, clock):
    return TokenVerifier(ring, issuer="auth", audience="shop", clock=clock)


def test_a_pass_for_another_purpose(ring, clock):
    issuer = TokenIssuer(ring, issuer="booking", audience="queue", ttl=300, clock=clock)
    verifier = TokenVerifier(ring, issuer="booking", audience="queue", clock=clock)
    token = issuer.issue_claims({"user_id": "u", "event_id": "e", "jti": "7"}, ttl=60)
    found = verifier.verify_claims(token)
    assert (found["user_id"], found["event_id"], found["jti"]) == ("u", "e", "7")
    clock.advance(59.999)
    verifier.verify_claims(token)
    clock.advance(0.001)
    with pytest.raises(TokenExpired):
        verifier.verify_claims(token)


def test_a_pass_is_no_access_token_nor_the_other_way_round(issuer, verifier):
    with pytest.raises(InvalidToken, match="another kind"):
        verifier.verify(issuer.issue_claims({"sub": str(ANN.id), "roles": ["admin"]}))
    with pytest.raises(InvalidToken, match="another kind"):
        verifier.verify_claims(issuer.issue(ANN))


def test_a_pass_for_another_audience_is_refused(ring, verifier, clock):
    queue = TokenIssuer(ring, issuer="auth", audience="queue", clock=clock)
    with pytest.raises(InvalidToken, match="another audience"):
        verifier.verify_claims(queue.issue_claims({}))


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat", "nbf"])
def test_a_pass_cannot_set_the_issuer_s_claims(issuer, name):
    with pytest.raises(ValueError, match=name):
        issuer.issue_claims({name: 1})
