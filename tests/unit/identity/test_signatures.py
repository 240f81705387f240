import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.identity import BodySignature, InvalidSignature, TimedSignature
from freehold.model.errors import ConfigurationError

BODY = b'{"type":"payment_intent.succeeded"}'


@pytest.fixture
def timed(clock):
    return TimedSignature("whsec", tolerance=300, clock=clock)


def test_the_header_is_as_documented(timed, clock):
    sent_at = int(clock.now().timestamp())
    expected = hmac.new(b"whsec", f"{sent_at}.".encode() + BODY, hashlib.sha256).hexdigest()
    assert timed.sign(BODY) == f"t={sent_at},v1={expected}"


def test_tolerance_is_exact_in_both_directions(timed, clock):
    header = timed.sign(BODY)
    clock.advance(300)
    timed.verify(header, BODY)
    clock.advance(0.001)
    with pytest.raises(InvalidSignature, match="away from now"):
        timed.verify(header, BODY)
    clock.advance(-600.001)
    timed.verify(header, BODY)
    clock.advance(-0.001)
    with pytest.raises(InvalidSignature, match="away from now"):
        timed.verify(header, BODY)


def test_time_and_body_are_covered(timed, clock):
    header = timed.sign(BODY)
    sent_at = int(clock.now().timestamp())
    with pytest.raises(InvalidSignature, match="does not match"):
        timed.verify(header, BODY + b" ")
    with pytest.raises(InvalidSignature, match="does not match"):
        timed.verify(header.replace(str(sent_at), str(sent_at + 1)), BODY)
    with pytest.raises(InvalidSignature, match="does not match"):
        TimedSignature("other", clock=clock).verify(header, BODY)


def test_one_good_signature_of_several_is_enough(timed, clock):
    time, good = timed.sign(BODY).split(",")
    timed.verify(f"{time}, v0=ff, v1=00, {good}", BODY)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "missing"),
        ("", "missing"),
        ("hello", "not of the form"),
        ("t=1", "not of the form"),
        ("v1=00", "not of the form"),
        ("t=1,t=2,v1=00", "not of the form"),
        ("t=soon,v1=00", "whole seconds"),
        ("t=-1,v1=00", "whole seconds"),
        ("t=²,v1=00", "whole seconds"),
        ("t=" + "9" * 5000 + ",v1=00", "whole seconds"),
        ("t=1,v1=", "does not match"),
        ("t=1,v1=é\ud800", "does not match"),
    ],
)
def test_wrong_headers_are_named(timed, header, reason):
    with pytest.raises(InvalidSignature, match=reason):
        timed.verify(header, BODY)


def test_an_error_does_not_tell_what_was_expected(timed):
    good = timed.sign(BODY).partition("v1=")[2]
    with pytest.raises(InvalidSignature) as caught:
        timed.verify(timed.sign(b"other"), BODY)
    assert good not in repr(caught.value)


@given(body=st.binary(), secret=st.text(min_size=1, alphabet=st.characters(codec="utf-8")))
def test_round_trip(body, secret):
    for signature in (TimedSignature(secret), BodySignature(secret)):
        header = signature.sign(body)
        signature.verify(header, body)
        with pytest.raises(InvalidSignature):
            signature.verify(header, body + b"x")


def test_the_plain_signature_is_the_hmac_of_the_body():
    plain = BodySignature("secret")
    assert plain.sign(BODY) == hmac.new(b"secret", BODY, hashlib.sha256).hexdigest()
    plain.verify(plain.sign(BODY).upper(), BODY)
    for header in (None, ""):
        with pytest.raises(InvalidSignature, match="missing"):
            plain.verify(header, BODY)
    with pytest.raises(InvalidSignature, match="does not match"):
        plain.verify("zz", BODY)


@pytest.mark.parametrize("kind", [TimedSignature, BodySignature])
def test_an_empty_secret_is_refused(kind):
    with pytest.raises(ConfigurationError, match="anybody could sign"):
        kind("")
