"""Inventory: product catalogue, categories, stock and its ledger."""

from __future__ import annotations

from freehold import Service
from systems.petpro.inventory.contract import (
    InventoryChanged,
    InventoryLowStock,
    InventoryReservationConfirmed,
    InventoryReservationFailed,
    ProductCreated,
    ProductDeactivated,
    ProductUpdated,
)
from systems.petpro.inventory.tables import Base
from systems.petpro.vendor.contract import GetVendor

inventory = Service(
    "inventory",
    tables=Base,
    database="inventory_db",
    publishes=[
        ProductCreated,
        ProductUpdated,
        ProductDeactivated,
        InventoryChanged,
        InventoryLowStock,
        InventoryReservationConfirmed,
        InventoryReservationFailed,
    ],
    asks=[GetVendor],
    description="Product catalogue, categories, stock and its ledger",
)
