"""The views service with everything that it does: each module adds its part to the declaration."""

from systems.petpro.views.declaration import views

__all__ = ["views"]
