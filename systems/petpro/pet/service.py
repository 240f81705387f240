"""The pet service with everything that it does: each module adds its part to the declaration."""

from systems.petpro.pet.declaration import pet

__all__ = ["pet"]
