"""Initial."""

import sqlalchemy as sa
from alembic.operations import Operations

import freehold


def upgrade(op: Operations) -> None:
    op.create_table(
        "order_counters",
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("year", name=op.f("pk_order_counters")),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("order_number", sa.String(length=20), nullable=False),
        sa.Column("total_amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "pending",
                "processing",
                "shipped",
                "delivered",
                "cancelled",
                "refunded",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("order_date", freehold.UtcDateTime(), nullable=False),
        sa.Column("shipping_address", freehold.JsonDocument(), nullable=False),
        sa.Column("billing_address", freehold.JsonDocument(), nullable=False),
        sa.Column("payment_method", sa.String(length=50), nullable=False),
        sa.Column("notes", sa.String(length=500), nullable=True),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column(
            "reservation_state",
            sa.Enum(
                "requested",
                "reserved",
                "failed",
                "released",
                "committed",
                name="reservation_state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("payment_due_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("cancellation_reason", sa.String(length=255), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("total_amount >= 0", name=op.f("ck_orders_total_amount")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("order_number", name=op.f("uq_orders_order_number")),
    )
    op.create_index("ix_orders_customer_id_order_date", "orders", ["customer_id", "order_date"], unique=False)
    op.create_index(
        "ix_orders_payment_due_at_live",
        "orders",
        ["payment_due_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
        sqlite_where=sa.text("status = 'pending'"),
    )
    op.create_index(op.f("ix_orders_status"), "orders", ["status"], unique=False)
    op.create_table(
        "product_refs",
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("sku", sa.String(length=50), nullable=True),
        sa.Column("image_url", sa.String(length=500), nullable=True),
        sa.Column("regular_price", freehold.ExactDecimal(precision=12, scale=2), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("synced_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_product_refs")),
    )
    op.create_table(
        "product_refs__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_product_refs__ages")),
    )
    op.create_table(
        "product_refs__rebuild",
        sa.Column("product_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("sku", sa.String(length=50), autoincrement=False, nullable=True),
        sa.Column("image_url", sa.String(length=500), autoincrement=False, nullable=True),
        sa.Column("regular_price", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("synced_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_product_refs__rebuild")),
    )
    op.create_table(
        "product_refs__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("product_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("sku", sa.String(length=50), autoincrement=False, nullable=True),
        sa.Column("image_url", sa.String(length=500), autoincrement=False, nullable=True),
        sa.Column("regular_price", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("synced_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_product_refs__scopes")),
    )
    op.create_index(op.f("ix_product_refs__scopes_scope__at"), "product_refs__scopes", ["scope__at"], unique=False)
    op.create_table(
        "user_refs",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("full_name", sa.String(length=255), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("synced_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_user_refs")),
    )
    op.create_table(
        "user_refs__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_user_refs__ages")),
    )
    op.create_table(
        "user_refs__rebuild",
        sa.Column("user_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("email", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("full_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("synced_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_user_refs__rebuild")),
    )
    op.create_table(
        "user_refs__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("user_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("email", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("full_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("synced_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_user_refs__scopes")),
    )
    op.create_index(op.f("ix_user_refs__scopes_scope__at"), "user_refs__scopes", ["scope__at"], unique=False)
    op.create_table(
        "vendors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("business_name", sa.String(length=255), nullable=False),
        sa.Column("business_type", sa.String(length=100), nullable=False),
        sa.Column("contact_name", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("address", sa.String(length=500), nullable=False),
        sa.Column("city", sa.String(length=100), nullable=False),
        sa.Column("province", sa.String(length=100), nullable=False),
        sa.Column("postal_code", sa.String(length=20), nullable=False),
        sa.Column("tax_id", sa.String(length=50), nullable=True),
        sa.Column("website", sa.String(length=255), nullable=True),
        sa.Column(
            "status",
            sa.Enum(
                "pending",
                "approved",
                "rejected",
                "suspended",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("verification_data", freehold.JsonDocument(), nullable=False),
        sa.Column("commission_rate", freehold.ExactDecimal(precision=5, scale=2), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            freehold.spelled("commission_rate BETWEEN 0 AND 100", sqlite="commission_rate BETWEEN 0 AND 10000"),
            name=op.f("ck_vendors_commission_rate"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vendors")),
        sa.UniqueConstraint("email", name=op.f("uq_vendors_email")),
        sa.UniqueConstraint("user_id", name=op.f("uq_vendors_user_id")),
    )
    op.create_index(op.f("ix_vendors_business_name"), "vendors", ["business_name"], unique=False)
    op.create_index("ix_vendors_city_province", "vendors", ["city", "province"], unique=False)
    op.create_index(op.f("ix_vendors_status"), "vendors", ["status"], unique=False)
    op.create_table(
        "order_payments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("external_reference", sa.String(length=100), nullable=True),
        sa.Column("amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("payment_method", sa.String(length=50), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "pending",
                "success",
                "failed",
                "refund_pending",
                "refunded",
                "partially_refunded",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("refunded_amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("payment_details", freehold.JsonDocument(), nullable=False),
        sa.Column("paid_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("payment_url", sa.String(length=500), nullable=True),
        sa.CheckConstraint(
            "refunded_amount >= 0 AND refunded_amount <= amount", name=op.f("ck_order_payments_refunded_amount")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name=op.f("fk_order_payments_order_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_payments")),
        sa.UniqueConstraint("order_id", name=op.f("uq_order_payments_order_id")),
    )
    op.create_index(
        "uq_order_payments_external_reference",
        "order_payments",
        ["external_reference"],
        unique=True,
        postgresql_where=sa.text("external_reference IS NOT NULL"),
        sqlite_where=sa.text("external_reference IS NOT NULL"),
    )
    op.create_table(
        "vendor_payouts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vendor_id", sa.Uuid(), nullable=False),
        sa.Column("amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "pending",
                "processing",
                "completed",
                "failed",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("reference_number", sa.String(length=100), nullable=False),
        sa.Column("transaction_details", freehold.JsonDocument(), nullable=False),
        sa.Column("payout_date", freehold.UtcDateTime(), nullable=True),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "(status = 'completed') = (payout_date IS NOT NULL)", name=op.f("ck_vendor_payouts_status_completed")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_vendor_payouts_amount")),
        sa.ForeignKeyConstraint(
            ["vendor_id"], ["vendors.id"], name=op.f("fk_vendor_payouts_vendor_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vendor_payouts")),
        sa.UniqueConstraint("reference_number", name=op.f("uq_vendor_payouts_reference_number")),
    )
    op.create_index(op.f("ix_vendor_payouts_payout_date"), "vendor_payouts", ["payout_date"], unique=False)
    op.create_index("ix_vendor_payouts_vendor_id_status", "vendor_payouts", ["vendor_id", "status"], unique=False)
    op.create_table(
        "vendor_products",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vendor_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("vendor_price", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("marketplace_price", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("quantity_available", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("stock_version", sa.Integer(), nullable=False),
        sa.CheckConstraint("marketplace_price > 0", name=op.f("ck_vendor_products_marketplace_price")),
        sa.CheckConstraint("quantity_available >= 0", name=op.f("ck_vendor_products_quantity_available")),
        sa.CheckConstraint("vendor_price > 0", name=op.f("ck_vendor_products_vendor_price")),
        sa.ForeignKeyConstraint(
            ["vendor_id"], ["vendors.id"], name=op.f("fk_vendor_products_vendor_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vendor_products")),
        sa.UniqueConstraint("vendor_id", "product_id", name=op.f("uq_vendor_products_vendor_id_product_id")),
    )
    op.create_index(op.f("ix_vendor_products_product_id"), "vendor_products", ["product_id"], unique=False)
    op.create_index(
        "ix_vendor_products_vendor_id_live",
        "vendor_products",
        ["vendor_id"],
        unique=False,
        postgresql_where=sa.text("is_active = true"),
        sqlite_where=sa.text("is_active = true"),
    )
    op.create_table(
        "order_items",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("vendor_id", sa.Uuid(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("subtotal", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("tax", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "pending",
                "processing",
                "shipped",
                "delivered",
                "cancelled",
                "refunded",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("product_snapshot", freehold.JsonDocument(), nullable=False),
        sa.Column("commission_rate", freehold.ExactDecimal(precision=5, scale=2), nullable=False),
        sa.Column("commission_amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("delivered_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("payout_id", sa.Uuid(), nullable=True),
        sa.Column("tracking_number", sa.String(length=100), nullable=True),
        sa.Column("taken_back", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_order_items_quantity")),
        sa.CheckConstraint("subtotal = quantity * unit_price", name=op.f("ck_order_items_subtotal")),
        sa.CheckConstraint(
            "taken_back >= 0 AND taken_back <= subtotal - commission_amount", name=op.f("ck_order_items_taken_back")
        ),
        sa.CheckConstraint("tax >= 0", name=op.f("ck_order_items_tax")),
        sa.CheckConstraint("unit_price >= 0", name=op.f("ck_order_items_unit_price")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_items_order_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["payout_id"], ["vendor_payouts.id"], name=op.f("fk_order_items_payout_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["vendor_id"], ["vendors.id"], name=op.f("fk_order_items_vendor_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_items")),
        sa.UniqueConstraint(
            "order_id", "vendor_id", "product_id", name=op.f("uq_order_items_order_id_vendor_id_product_id")
        ),
    )
    op.create_index(op.f("ix_order_items_payout_id"), "order_items", ["payout_id"], unique=False)
    op.create_index(op.f("ix_order_items_product_id"), "order_items", ["product_id"], unique=False)
    op.create_index(
        "ix_order_items_vendor_id_delivered_at",
        "order_items",
        ["vendor_id", "delivered_at"],
        unique=False,
        postgresql_where=sa.text("status = 'delivered' AND payout_id IS NULL"),
        sqlite_where=sa.text("status = 'delivered' AND payout_id IS NULL"),
    )
    op.create_index("ix_order_items_vendor_id_status", "order_items", ["vendor_id", "status"], unique=False)
    op.create_table(
        "order_refunds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("item_ids", freehold.JsonDocument(), nullable=False),
        sa.Column(
            "status",
            sa.Enum("pending", "done", name="status", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_order_refunds_amount")),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name=op.f("fk_order_refunds_order_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["order_payments.id"], name=op.f("fk_order_refunds_payment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_refunds")),
        sa.UniqueConstraint("payment_id", "sequence", name=op.f("uq_order_refunds_payment_id_sequence")),
    )
    op.create_index(op.f("ix_order_refunds_order_id"), "order_refunds", ["order_id"], unique=False)
    op.create_index("ix_order_refunds_status_next_try_at", "order_refunds", ["status", "next_try_at"], unique=False)
