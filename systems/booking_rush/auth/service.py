"""The auth service with everything that it does: each module adds its part to the declaration."""

from systems.booking_rush.auth import api, jobs, queries, tenants_api, users_api
from systems.booking_rush.auth.declaration import auth

__all__ = ["api", "auth", "jobs", "queries", "tenants_api", "users_api"]
