"""Vendor: marketplace vendors, listings, orders and payouts."""

from __future__ import annotations

import random

from freehold import DataFolder, Service
from systems.petpro.auth.contract import GetUser, SnapshotUsers
from systems.petpro.gateway import GatewaySettings, PaymentGateway, open_gateway
from systems.petpro.inventory.contract import CheckStock, GetProduct, GetStock, SnapshotProducts, SnapshotStock
from systems.petpro.vendor.contract import (
    InventoryReserved,
    OrderCancelled,
    OrderCreated,
    OrderPaid,
    OrderRefunded,
    OrderStatusChanged,
    PayoutCompleted,
    PayoutCreated,
    VendorCreated,
    VendorProductChanged,
    VendorStatusChanged,
    VendorUpdated,
)
from systems.petpro.vendor.settings import VendorSettings
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
        OrderRefunded,
        PayoutCreated,
        PayoutCompleted,
    ],
    asks=[GetUser, SnapshotUsers, CheckStock, GetProduct, GetStock, SnapshotProducts, SnapshotStock],
    settings=[VendorSettings, GatewaySettings],
    description="Marketplace vendors, listings, orders and payouts",
)


@vendor.provide
def gateway(settings: GatewaySettings, folder: DataFolder) -> PaymentGateway:
    return open_gateway(settings, folder)


@vendor.provide
def chance() -> random.Random:
    return random.SystemRandom()
