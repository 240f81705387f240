"""Who is calling: signing keys, access and service tokens, passwords, refresh tokens, webhook signatures."""

from freehold.identity.jwks import JwksKeys
from freehold.identity.key_ring import KeyRing, RetiredKey
from freehold.identity.keys import KeySource, KeysUnavailable, SigningKey, VerificationKey
from freehold.identity.passwords import Passwords
from freehold.identity.refresh import (
    RefreshState,
    RefreshToken,
    Verdict,
    hash_refresh_token,
    judge,
    new_refresh_token,
)
from freehold.identity.service_tokens import ServiceCall, ServiceTokens, ServiceTokenVerifier
from freehold.identity.signatures import BodySignature, InvalidSignature, TimedSignature
from freehold.identity.tokens import TokenIssuer, TokenVerifier
from freehold.identity.verification import InvalidToken, TokenExpired, UnknownKey

__all__ = [
    "BodySignature",
    "InvalidSignature",
    "InvalidToken",
    "JwksKeys",
    "KeyRing",
    "KeySource",
    "KeysUnavailable",
    "Passwords",
    "RefreshState",
    "RefreshToken",
    "RetiredKey",
    "ServiceCall",
    "ServiceTokenVerifier",
    "ServiceTokens",
    "SigningKey",
    "TimedSignature",
    "TokenExpired",
    "TokenIssuer",
    "TokenVerifier",
    "UnknownKey",
    "Verdict",
    "VerificationKey",
    "hash_refresh_token",
    "judge",
    "new_refresh_token",
]
