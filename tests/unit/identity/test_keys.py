import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from freehold.identity.keys import SigningKey, VerificationKey, public_key_from_pem
from freehold.model.errors import ConfigurationError

# The published examples of RFC 8037 (appendix A.3) and RFC 7638 (section 3.1).
ED25519_JWK = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
RSA_JWK = {
    "kty": "RSA",
    "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
    "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajr"
    "n1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}


def test_the_key_id_is_the_rfc_7638_thumbprint():
    assert VerificationKey.from_jwk(ED25519_JWK).kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    rsa = {name: RSA_JWK[name] for name in ("kty", "n", "e")}
    assert VerificationKey.from_jwk(rsa).kid == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_a_published_key_id_is_kept():
    assert VerificationKey.from_jwk(RSA_JWK).kid == "2011-04-29"


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])
def test_a_key_survives_pem_and_jwk(algorithm):
    key = SigningKey.generate(algorithm)
    again = SigningKey.from_pem(key.to_pem())
    assert (again.kid, again.algorithm) == (key.kid, algorithm)
    assert public_key_from_pem(key.public.to_pem()) == key.public
    assert VerificationKey.from_jwk(key.public.jwk()) == key.public


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])
def test_a_jwk_holds_nothing_private(algorithm):
    jwk = SigningKey.generate(algorithm).public.jwk()
    assert not jwk.keys() & {"d", "p", "q", "dp", "dq", "qi"}
    assert (jwk["use"], jwk["alg"]) == ("sig", algorithm)


@pytest.mark.parametrize("algorithm", [OKPAlgorithm, RSAAlgorithm])
def test_a_published_private_key_is_not_trusted(algorithm):
    key = SigningKey.generate("EdDSA" if algorithm is OKPAlgorithm else "RS256")
    assert VerificationKey.from_jwk(algorithm.to_jwk(key.private, as_dict=True)) is None


def test_a_private_key_does_not_show_itself():
    key = SigningKey.generate()
    assert repr(key) == f"SigningKey(kid={key.kid!r}, algorithm='EdDSA')"


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "Ed25519"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kty": "OKP", "crv": "Ed25519", "x": 7},
        {"kty": "RSA", "n": "!", "e": "AQAB"},
        ED25519_JWK | {"use": "enc"},
        ED25519_JWK | {"alg": "RS256"},
        ED25519_JWK | {"kid": 1},
        RSA_JWK | {"alg": "RS512"},
        {},
    ],
)
def test_entries_that_are_no_key_of_ours_are_passed_over(jwk):
    assert VerificationKey.from_jwk(jwk) is None


def test_a_weak_rsa_key_is_refused():
    weak = generate_private_key(public_exponent=65537, key_size=1024)
    numbers = weak.public_key().public_numbers()
    with pytest.raises(ConfigurationError, match="1024 bits is too weak"):
        SigningKey(weak)
    n = base64.urlsafe_b64encode(numbers.n.to_bytes(128, "big")).rstrip(b"=").decode()
    assert VerificationKey.from_jwk({"kty": "RSA", "n": n, "e": "AQAB"}) is None


def test_other_keys_and_texts_are_refused():
    elliptic = ec.generate_private_key(ec.SECP256R1())
    pem = elliptic.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    encrypted = (
        SigningKey.generate()
        .private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
        .decode()
    )
    for text in (pem, encrypted, "", "hello"):
        with pytest.raises(ConfigurationError, match="no private key could be read"):
            SigningKey.from_pem(text)
    with pytest.raises(ConfigurationError, match="no public key could be read"):
        public_key_from_pem("hello")
    with pytest.raises(ConfigurationError, match="'HS256' is not supported"):
        SigningKey.generate("HS256")
