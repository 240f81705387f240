"""The vendor service with everything that it does: each module adds its part to the declaration."""

from systems.petpro.vendor.declaration import vendor

__all__ = ["vendor"]
