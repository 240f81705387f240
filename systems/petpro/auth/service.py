"""The auth service with everything that it does: each module adds its part to the declaration."""

from systems.petpro.auth.declaration import auth

__all__ = ["auth"]
