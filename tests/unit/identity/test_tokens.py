import base64
import hashlib
import hmac
import json
from uuid import UUID

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from freehold.identity import (
    InvalidToken,
    JwksKeys,
    KeyRing,
    KeysUnavailable,
    TokenExpired,
    TokenIssuer,
    TokenVerifier,
    UnknownKey,
)
from freehold.identity.keys import SigningKey
from freehold.model.access import User
from freehold.model.errors import ConfigurationError

ANN = User(
    id=UUID("0190a000-0000-7000-8000-000000000001"),
    email="ann@example.com",
    roles=frozenset({"customer", "organizer"}),
    permissions=frozenset({"products.create"}),
    tenant_id=UUID(int=1),
)

KEY = SigningKey.generate()


@pytest.fixture(params=["EdDSA", "RS256"])
def ring(request, clock):
    return KeyRing.generate(request.param, clock=clock)


@pytest.fixture
def issuer(ring, clock):
    return TokenIssuer(ring, issuer="auth", audience="shop", ttl=900, clock=clock)


@pytest.fixture
def verifier(ring, clock):
    return TokenVerifier(ring, issuer="auth", audience="shop", clock=clock)


def signed(ring, claims, **headers):
    """A token with exactly these claims and headers, signed with the ring's key."""
    key = ring.active
    headers = {"kid": key.kid, "typ": "at+jwt"} | headers
    headers = {name: value for name, value in headers.items() if value is not None}
    return jwt.encode(claims, key.private, algorithm=key.algorithm, headers=headers)


def claims(clock, **changes):
    now = int(clock.now().timestamp())
    whole = {"iss": "auth", "aud": "shop", "iat": now, "exp": now + 900, "sub": str(ANN.id)} | changes
    return {name: value for name, value in whole.items() if value is not None}


def test_a_user_comes_back(issuer, verifier):
    user = verifier.verify(issuer.issue(ANN, name="Ann"))
    assert user == ANN
    assert user.claims["name"] == "Ann"
    assert user.claims["iss"] == "auth"
    with pytest.raises(TypeError):
        user.claims["name"] = "Eve"


def test_a_token_has_the_standard_claims_and_an_id_of_its_own(ring, issuer, clock):
    first, second = issuer.issue(ANN), issuer.issue(ANN)
    body = jwt.decode(first, options={"verify_signature": False})
    now = int(clock.now().timestamp())
    assert (body["iss"], body["aud"], body["sub"], body["iat"], body["exp"]) == (
        "auth",
        "shop",
        str(ANN.id),
        now,
        now + 900,
    )
    assert jwt.get_unverified_header(first) == {"alg": ring.active.algorithm, "kid": ring.active.kid, "typ": "at+jwt"}
    assert body["jti"] != jwt.decode(second, options={"verify_signature": False})["jti"]


def test_a_user_s_own_claims_travel_and_the_token_s_do_not(issuer, verifier, clock):
    seen = verifier.verify(issuer.issue(ANN, scope="all"))
    clock.advance(100)
    again = verifier.verify(issuer.issue(seen))
    assert again.claims["scope"] == "all"
    assert again.claims["iat"] == seen.claims["iat"] + 100
    assert again.claims["jti"] != seen.claims["jti"]


@pytest.mark.parametrize("name", ["sub", "exp", "roles", "tenant_id", "jti"])
def test_a_claim_that_is_set_already_cannot_be_given(issuer, name):
    with pytest.raises(ValueError, match=name):
        issuer.issue(ANN, **{name: "x"})


def test_expiry_is_exact_also_for_a_remembered_token(issuer, verifier, clock):
    token = issuer.issue(ANN)
    clock.advance(899.999)
    assert verifier.verify(token) == ANN
    clock.advance(0.001)
    with pytest.raises(TokenExpired):
        verifier.verify(token)
    assert len(verifier._passed) == 1  # it was judged from memory


def test_expiry_is_exact_for_a_token_seen_first(issuer, ring, clock):
    token = issuer.issue(ANN)
    clock.advance(900)
    with pytest.raises(TokenExpired):
        TokenVerifier(ring, issuer="auth", audience="shop", clock=clock).verify(token)
    late = TokenVerifier(ring, issuer="auth", audience="shop", clock=clock, leeway=0.001)
    assert late.verify(token) == ANN
    clock.advance(0.001)
    with pytest.raises(TokenExpired):
        late.verify(token)


def test_a_token_is_not_valid_before_its_time(ring, verifier, clock):
    token = signed(ring, claims(clock, nbf=int(clock.now().timestamp()) + 10))
    clock.advance(9.999)
    with pytest.raises(InvalidToken, match="not valid yet"):
        verifier.verify(token)
    clock.advance(0.001)
    assert verifier.verify(token).id == ANN.id


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "iat", "exp"])
def test_required_claims(ring, verifier, clock, name):
    with pytest.raises(InvalidToken, match=f"lacks the claim {name}"):
        verifier.verify(signed(ring, claims(clock, **{name: None})))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "admin"}, "another audience"),
        ({"aud": ["admin"]}, "another audience"),
        ({"iss": "mallory"}, "another issuer"),
        ({"sub": 5}, "malformed"),
        ({"exp": "tomorrow"}, "exp is no number"),
        ({"exp": True}, "exp is no number"),
        ({"exp": 10**30}, "exp is out of range"),
        ({"exp": float("nan")}, "exp is out of range"),
        ({"iat": "now"}, "iat is no number"),
        ({"nbf": "now"}, "nbf is no number"),
        ({"roles": "admin"}, "roles are no list"),
        ({"permissions": [1]}, "permissions are no list"),
        ({"tenant_id": "default"}, "tenant_id is no UUID"),
        ({"tenant_id": 1}, "tenant_id is no UUID"),
        ({"email": ["a"]}, "email is no text"),
    ],
)
def test_wrong_claims(ring, verifier, clock, changes, reason):
    with pytest.raises(InvalidToken, match=reason):
        verifier.verify(signed(ring, claims(clock, **changes)))


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"kid": None}, "does not name its key"),
        ({"kid": ""}, "unknown key"),
        ({"typ": "JWT"}, "another kind"),
        ({"typ": None}, "another kind"),
        ({"typ": "service+jwt"}, "another kind"),
        ({"crit": ["exp"], "exp": 1}, "extension"),
    ],
)
def test_wrong_headers(ring, verifier, clock, headers, reason):
    with pytest.raises(InvalidToken, match=reason):
        verifier.verify(signed(ring, claims(clock), **headers))


def test_a_token_without_signature_is_refused(ring, verifier, clock):
    for algorithm in ("none", "None", "NONE"):
        header = {"alg": algorithm, "kid": ring.active.kid, "typ": "at+jwt"}
        token = f"{encoded(header)}.{encoded(claims(clock))}."
        with pytest.raises(InvalidToken, match=r"algorithm is not that of its key|malformed"):
            verifier.verify(token)


def test_a_public_key_is_no_shared_secret(ring, verifier, clock):
    header = encoded({"alg": "HS256", "kid": ring.active.kid, "typ": "at+jwt"})
    for secret in (ring.active.public.to_pem().encode(), json.dumps(ring.active.public.jwk()).encode()):
        body = f"{header}.{encoded(claims(clock))}"
        digest = hmac.digest(secret, body.encode(), hashlib.sha256)
        with pytest.raises(InvalidToken, match="algorithm is not that of its key"):
            verifier.verify(f"{body}.{encoded(digest)}")


def test_a_key_of_the_other_algorithm_is_no_substitute(clock):
    rsa, edwards = SigningKey.generate("RS256"), SigningKey.generate("EdDSA")
    verifier = TokenVerifier(KeyRing(rsa, clock=clock), issuer="auth", audience="shop", clock=clock)
    forged = jwt.encode(claims(clock), edwards.private, algorithm="EdDSA", headers={"kid": rsa.kid, "typ": "at+jwt"})
    with pytest.raises(InvalidToken, match="algorithm is not that of its key"):
        verifier.verify(forged)


def test_a_foreign_key_under_a_known_name_is_refused(ring, verifier, clock):
    other = SigningKey.generate(ring.active.algorithm)
    forged = jwt.encode(
        claims(clock), other.private, algorithm=other.algorithm, headers={"kid": ring.active.kid, "typ": "at+jwt"}
    )
    with pytest.raises(InvalidToken, match="signature does not match"):
        verifier.verify(forged)


def test_every_changed_character_is_noticed(clock):
    ring = KeyRing(KEY, clock=clock)  # Ed25519, whose tokens are short
    verifier = TokenVerifier(ring, issuer="auth", audience="shop", clock=clock)
    token = TokenIssuer(ring, issuer="auth", audience="shop", clock=clock).issue(ANN)
    assert verifier.verify(token) == ANN
    meaning = [decoded(part) for part in token.split(".")]
    for position, character in enumerate(token):
        changed = token[:position] + ("A" if character != "A" else "B") + token[position + 1 :]
        if [decoded(part) for part in changed.split(".")] == meaning:
            continue  # the unused low bits of a part's last character
        with pytest.raises(InvalidToken):
            verifier.verify(changed)


@given(st.text() | st.from_regex(r"\A[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\Z"))
@example("")
@example("..")
@example("\ud800.\ud800.\ud800")
@example(base64.urlsafe_b64encode(b"[" * 6000).decode() + ".e30.")
@example(base64.urlsafe_b64encode(b'{"kid":' * 1200).decode() + "..")
@example("eyJhbGciOltdfQ.e30.")
@example("x" * 10_000)
def test_any_text_is_an_invalid_token(token):
    verifier = TokenVerifier(KeyRing(KEY), issuer="auth", audience="shop")
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(token)
    assert len(token) < 20 or token not in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_header_is_an_invalid_token(value):
    verifier = TokenVerifier(KeyRing(KEY), issuer="auth", audience="shop")
    for header in (
        value,
        {"alg": value, "kid": KEY.kid, "typ": "at+jwt"},
        {"alg": "EdDSA", "kid": value, "typ": "at+jwt"},
    ):
        with pytest.raises(InvalidToken):
            verifier.verify(f"{encoded(header)}.{encoded({})}.AAAA")


NAMES = st.frozensets(st.text(min_size=1, max_size=20), max_size=5)


@given(
    user=st.builds(
        User,
        id=st.uuids() | st.integers(0, 2**63 - 1) | st.from_regex(r"\A[a-z][a-z-]{0,30}\Z"),
        email=st.none() | st.emails(),
        roles=NAMES,
        permissions=NAMES,
        tenant_id=st.none() | st.uuids(),
    )
)
def test_every_user_comes_back_as_they_were(user):
    issuer = TokenIssuer(KeyRing(KEY), issuer="auth", audience="shop")
    verifier = TokenVerifier(KeyRing(KEY), issuer="auth", audience="shop")
    seen = verifier.verify(issuer.issue(user))
    assert seen == user
    assert type(seen.id) is type(user.id)


@pytest.mark.parametrize("user_id", ["42", "6f1f61f2-3a2d-4f3f-9a55-0d1d53c6c0de"])
def test_an_id_that_would_change_its_type_is_refused(issuer, user_id):
    with pytest.raises(ValueError, match="would change its type"):
        issuer.issue(User(id=user_id))


def test_errors_never_hold_the_token(ring, issuer, verifier, clock):
    token = issuer.issue(ANN)
    clock.advance(900)
    for bad in (token, token[:-8] + "AAAAAAAA", token[:-1] + "!"):
        with pytest.raises(InvalidToken) as caught:
            verifier.verify(bad)
        assert not any(part in repr(caught.value) for part in bad.split("."))
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_remembered_token_is_not_checked_again(issuer, verifier, monkeypatch):
    token = issuer.issue(ANN)
    user = verifier.verify(token)

    def checked(self, token):
        raise AssertionError("checked again")

    monkeypatch.setattr(TokenVerifier, "_check", checked)
    copy = "".join(token)  # another object with the same text, as of another request
    assert verifier.verify(copy) is user


def test_memory_is_bounded_and_the_least_recently_used_goes_first(issuer, ring, clock):
    verifier = TokenVerifier(ring, issuer="auth", audience="shop", clock=clock, cache_size=3)
    tokens = [issuer.issue(ANN) for _ in range(4)]
    users = [verifier.verify(token) for token in tokens[:3]]
    assert verifier.verify(tokens[0]) is users[0]
    verifier.verify(tokens[3])
    assert len(verifier._passed) == 3
    assert verifier.verify(tokens[0]) is users[0]
    assert verifier.verify(tokens[1]) is not users[1]


def test_a_cache_of_nothing_is_refused(ring):
    with pytest.raises(ConfigurationError, match="cache_size"):
        TokenVerifier(ring, issuer="auth", audience="shop", cache_size=0)


def test_bad_tokens_are_not_remembered(issuer, verifier, clock):
    token = issuer.issue(ANN)
    clock.advance(900)
    for bad in (token, "a.b.c", token[:-8] + "AAAAAAAA"):
        with pytest.raises(InvalidToken):
            verifier.verify(bad)
    assert len(verifier._passed) == 0


def test_tokens_outlive_a_rotation_but_not_their_key(ring, issuer, verifier, clock):
    before = issuer.issue(ANN)
    verifier.verify(before)
    ring.rotate(keep=300)
    after = issuer.issue(ANN)
    assert verifier.verify(before) == verifier.verify(after) == ANN
    clock.advance(300)
    with pytest.raises(UnknownKey):  # though it is remembered and has not expired
        verifier.verify(before)
    assert verifier.verify(after) == ANN


async def test_an_unknown_key_is_asked_for_once(ring, issuer, clock):
    requests = []

    async def fetch():
        requests.append(ring.jwks())
        return requests[-1]

    keys = JwksKeys(fetch, minimum_interval=5, clock=clock)
    verifier = TokenVerifier(keys, issuer="auth", audience="shop", clock=clock)
    token = issuer.issue(ANN)
    with pytest.raises(UnknownKey):
        verifier.verify(token)
    assert await verifier.verify_with_refresh(token) == ANN
    stranger = TokenIssuer(KeyRing.generate(), issuer="auth", audience="shop", clock=clock).issue(ANN)
    for _ in range(10):
        with pytest.raises(UnknownKey):
            await verifier.verify_with_refresh(stranger)
    assert len(requests) == 1
    ring.rotate(keep=900)
    clock.advance(5)
    assert await verifier.verify_with_refresh(issuer.issue(ANN)) == ANN
    assert len(requests) == 2


async def test_known_keys_serve_while_the_auth_service_is_down(ring, issuer, clock):
    answers = [ring.jwks()]

    async def fetch():
        return answers.pop()  # raises the second time

    verifier = TokenVerifier(JwksKeys(fetch, clock=clock), issuer="auth", audience="shop", clock=clock)
    await verifier.refresh()
    old = issuer.issue(ANN)
    clock.advance(60)
    ring.rotate(keep=900)
    with pytest.raises(KeysUnavailable):
        await verifier.verify_with_refresh(issuer.issue(ANN))
    assert await verifier.verify_with_refresh(old) == ANN


def encoded(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(part):
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return None
