"""The pet service with everything that it does: each module adds its part to the declaration."""

from systems.petpro.pet import catalogue_api, jobs, pets_api, queries, records_api, vaccinations_api, views
from systems.petpro.pet.declaration import pet

__all__ = ["catalogue_api", "jobs", "pet", "pets_api", "queries", "records_api", "vaccinations_api", "views"]
