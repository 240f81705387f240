"""The clinic service with everything that it does: each module adds its part to the declaration."""

from systems.petpro.clinic.declaration import clinic

__all__ = ["clinic"]
