"""Signing keys: one that signs, older ones that still verify, and their public halves as a JWK Set."""

from __future__ import annotations

import base64
import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from jwt import PyJWTError
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from freehold.model.errors import ConfigurationError, Unavailable

Algorithm: TypeAlias = Literal["EdDSA", "RS256"]
PublicKey: TypeAlias = Ed25519PublicKey | RSAPublicKey
PrivateKey: TypeAlias = Ed25519PrivateKey | RSAPrivateKey

_RSA_BITS = 2048


@dataclass(frozen=True)
class VerificationKey:
    """The public half of a signing key. Its type alone decides the algorithm: a token's header never does."""

    kid: str
    public: PublicKey

    @cached_property
    def algorithm(self) -> Algorithm:
        return "EdDSA" if isinstance(self.public, Ed25519PublicKey) else "RS256"

    @classmethod
    def of(cls, public: PublicKey) -> VerificationKey:
        """The key named by its RFC 7638 thumbprint.

        Raises:
            ConfigurationError: an RSA key shorter than 2048 bits.
        """
        if isinstance(public, RSAPublicKey) and public.key_size < _RSA_BITS:
            raise ConfigurationError(
                "signing key", f"RSA with {public.key_size} bits is too weak", f"Use {_RSA_BITS} bits, or Ed25519"
            )
        return cls(thumbprint(public), public)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> VerificationKey | None:
        """The key that an entry of a JWK Set holds, or None when it holds none for our algorithms.

        RFC 7517 has readers pass over entries they do not understand. Symmetric and weak keys are passed over too.
        """
        if jwk.get("use", "sig") != "sig" or "d" in jwk:
            return None
        try:
            public = _public_of(jwk)
            key = None if public is None else cls.of(public)
        except (ConfigurationError, PyJWTError, TypeError, ValueError):
            return None
        if key is None or jwk.get("alg", key.algorithm) != key.algorithm:
            return None
        kid = jwk.get("kid", key.kid)
        return cls(kid, key.public) if isinstance(kid, str) else None

    def jwk(self) -> dict[str, Any]:
        """This key as an entry of a JWK Set."""
        return _members(self.public) | {"kid": self.kid, "use": "sig", "alg": self.algorithm}

    def to_pem(self) -> str:
        return self.public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()


class KeysUnavailable(Unavailable):
    """The verification keys cannot be had now, so a token that names an unknown one can be judged neither way."""


class KeySource(Protocol):
    """Where a verifier finds the key that a token names."""

    def find(self, kid: str) -> VerificationKey | None:
        """The key, or None when it is not known (any more). Does no I/O: it is asked for every token."""
        ...

    async def refresh(self) -> None:
        """Look for keys that have appeared since.

        Raises:
            KeysUnavailable: they cannot be had now; what was known stays known.
        """
        ...


class SigningKey:
    """A private key that signs tokens. Neither its text nor its repr shows it."""

    def __init__(self, private: PrivateKey) -> None:
        self.private = private
        self.public = VerificationKey.of(private.public_key())

    @property
    def kid(self) -> str:
        return self.public.kid

    @property
    def algorithm(self) -> Algorithm:
        return self.public.algorithm

    @classmethod
    def generate(cls, algorithm: Algorithm = "EdDSA") -> SigningKey:
        """A new key: Ed25519, or RSA with 2048 bits for `RS256`.

        Raises:
            ConfigurationError: any other algorithm.
        """
        if algorithm == "EdDSA":
            return cls(Ed25519PrivateKey.generate())
        if algorithm == "RS256":
            return cls(generate_private_key(public_exponent=65537, key_size=_RSA_BITS))
        raise ConfigurationError("algorithm", f"{algorithm!r} is not supported", "Use EdDSA or RS256")

    @classmethod
    def from_pem(cls, pem: str) -> SigningKey:
        """Read an unencrypted private key (PKCS#8, or PKCS#1 for RSA).

        Raises:
            ConfigurationError: the text holds none, or one of another type.
        """
        try:
            private = serialization.load_pem_private_key(pem.encode(), password=None)
        except (TypeError, ValueError, UnsupportedAlgorithm):
            raise _unreadable("private") from None
        if not isinstance(private, Ed25519PrivateKey | RSAPrivateKey):
            raise _unreadable("private")
        return cls(private)

    def to_pem(self) -> str:
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r}, algorithm={self.algorithm!r})"


def public_key_from_pem(pem: str) -> VerificationKey:
    """Read a public key (SubjectPublicKeyInfo).

    Raises:
        ConfigurationError: the text holds none, or one of another type.
    """
    try:
        public = serialization.load_pem_public_key(pem.encode())
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise _unreadable("public") from None
    if not isinstance(public, Ed25519PublicKey | RSAPublicKey):
        raise _unreadable("public")
    return VerificationKey.of(public)


def thumbprint(public: PublicKey) -> str:
    """The key's RFC 7638 thumbprint: the same key has the same id wherever it is loaded."""
    canonical = json.dumps(_members(public), separators=(",", ":"), sort_keys=True)
    digest = hashlib.sha256(canonical.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _members(public: PublicKey) -> dict[str, Any]:
    """The required members of the key's JWK, which are those that a thumbprint covers."""
    if isinstance(public, Ed25519PublicKey):
        jwk, names = OKPAlgorithm.to_jwk(public, as_dict=True), ("crv", "kty", "x")
    else:
        jwk, names = RSAAlgorithm.to_jwk(public, as_dict=True), ("e", "kty", "n")
    return {name: jwk[name] for name in names}


def _public_of(jwk: Mapping[str, Any]) -> PublicKey | None:
    if jwk.get("kty") == "OKP" and jwk.get("crv") == "Ed25519":
        return cast(Ed25519PublicKey, OKPAlgorithm.from_jwk(dict(jwk)))
    if jwk.get("kty") == "RSA":
        with warnings.catch_warnings():  # PyJWT warns of a short key, which is refused here anyway
            warnings.simplefilter("ignore")
            return cast(RSAPublicKey, RSAAlgorithm.from_jwk(dict(jwk)))
    return None


def _unreadable(half: str) -> ConfigurationError:
    return ConfigurationError(
        "signing key",
        f"no {half} key could be read",
        f"Give an unencrypted Ed25519 or RSA {half} key as PEM text, e.g. from `openssl genpkey -algorithm ed25519`",
    )
