"""The system: its services, and the gateway in front of them."""

from __future__ import annotations

from freehold import Gateway, RateLimit, System
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
    data_sets="systems.petpro.demo:load",
    access_token_seconds=3600,
    invalid_status=400,
    gateway=Gateway(
        prefix="/api/v1",
        aliases=["/api"],
        timeout=30.0,
        rate_limits=[
            RateLimit("/", per_second=20 / 60, burst=20, users={"*": 60, "staff": 120, "vendor": 120, "admin": 300})
        ],
        rate_limit_code="RATE_LIMIT_EXCEEDED",
    ),
)
