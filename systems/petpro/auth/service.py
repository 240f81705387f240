"""The auth service with everything that it does: each module adds its part to the declaration."""

from systems.petpro.auth import api, codes_api, jobs, notifications, queries, roles_api, users_api
from systems.petpro.auth.declaration import auth

__all__ = ["api", "auth", "codes_api", "jobs", "notifications", "queries", "roles_api", "users_api"]
