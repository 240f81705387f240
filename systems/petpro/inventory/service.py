"""The inventory service with everything that it does: each module adds its part to the declaration."""

from systems.petpro.inventory.declaration import inventory

__all__ = ["inventory"]
