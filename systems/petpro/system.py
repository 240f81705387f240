"""The system: its services, and the gateway in front of them."""

from __future__ import annotations

from freehold import Gateway, System
from systems.petpro.auth.service import auth
from systems.petpro.booking.service import booking
from systems.petpro.clinic.service import clinic
from systems.petpro.inventory.service import inventory
from systems.petpro.pet.service import pet
from systems.petpro.vendor.service import vendor
from systems.petpro.views.service import views

system = System(
    "petpro",
    title="PetPro",
    services=[auth, pet, booking, clinic, inventory, vendor, views],
    auth="auth",
    invalid_status=400,
    gateway=Gateway(prefix="/api/v1", timeout=30.0),
)
