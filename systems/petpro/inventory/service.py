"""The inventory service with everything that it does: each module adds its part to the declaration."""

from systems.petpro.inventory import categories_api, holds, jobs, products_api, queries, stock_api
from systems.petpro.inventory.declaration import inventory

__all__ = ["categories_api", "holds", "inventory", "jobs", "products_api", "queries", "stock_api"]
