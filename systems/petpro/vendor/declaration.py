"""Vendor: marketplace vendors, listings, orders and payouts."""

from __future__ import annotations

from freehold import Service
from systems.petpro.auth.contract import GetUser, SnapshotUsers
from systems.petpro.inventory.contract import CheckStock, GetProduct, SnapshotProducts, SnapshotStock
from systems.petpro.vendor.contract import (
    InventoryReserved,
    OrderCancelled,
    OrderCreated,
    OrderPaid,
    OrderStatusChanged,
    PayoutCompleted,
    PayoutCreated,
    VendorCreated,
    VendorProductChanged,
    VendorStatusChanged,
    VendorUpdated,
)
from systems.petpro.vendor.tables import Base

vendor = Service(
    "vendor",
    tables=Base,
    database="vendor_db",
    publishes=[
        VendorCreated,
        VendorUpdated,
        VendorStatusChanged,
        VendorProductChanged,
        OrderCreated,
        InventoryReserved,
        OrderPaid,
        OrderStatusChanged,
        OrderCancelled,
        PayoutCreated,
        PayoutCompleted,
    ],
    asks=[GetUser, SnapshotUsers, CheckStock, GetProduct, SnapshotProducts, SnapshotStock],
    description="Marketplace vendors, listings, orders and payouts",
)
