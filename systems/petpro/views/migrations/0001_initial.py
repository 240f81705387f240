"""Initial."""

import sqlalchemy as sa
from alembic.operations import Operations

import freehold


def upgrade(op: Operations) -> None:
    op.create_table(
        "booking_facts",
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("reference_code", sa.String(length=20), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("user_name", sa.String(length=255), nullable=True),
        sa.Column("user_email", sa.String(length=255), nullable=True),
        sa.Column("pet_id", sa.Uuid(), nullable=False),
        sa.Column("pet_name", sa.String(length=100), nullable=True),
        sa.Column("pet_species", sa.String(length=50), nullable=True),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_name", sa.String(length=255), nullable=True),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("service_name", sa.String(length=255), nullable=True),
        sa.Column("starts_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("ends_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("booking_id", name=op.f("pk_booking_facts")),
    )
    op.create_index(op.f("ix_booking_facts_clinic_id"), "booking_facts", ["clinic_id"], unique=False)
    op.create_index(op.f("ix_booking_facts_pet_id"), "booking_facts", ["pet_id"], unique=False)
    op.create_index(op.f("ix_booking_facts_service_id"), "booking_facts", ["service_id"], unique=False)
    op.create_index(op.f("ix_booking_facts_user_id"), "booking_facts", ["user_id"], unique=False)
    op.create_table(
        "booking_facts__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_booking_facts__ages")),
    )
    op.create_table(
        "booking_facts__rebuild",
        sa.Column("booking_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("reference_code", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("user_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("user_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("user_email", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("pet_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("pet_name", sa.String(length=100), autoincrement=False, nullable=True),
        sa.Column("pet_species", sa.String(length=50), autoincrement=False, nullable=True),
        sa.Column("clinic_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("clinic_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("service_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("service_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("starts_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("ends_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("status", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("amount", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("currency", sa.String(length=3), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("booking_id", name=op.f("pk_booking_facts__rebuild")),
    )
    op.create_table(
        "booking_facts__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("reference_code", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("user_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("user_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("user_email", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("pet_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("pet_name", sa.String(length=100), autoincrement=False, nullable=True),
        sa.Column("pet_species", sa.String(length=50), autoincrement=False, nullable=True),
        sa.Column("clinic_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("clinic_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("service_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("service_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("starts_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("ends_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("status", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("amount", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("currency", sa.String(length=3), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_booking_facts__scopes")),
    )
    op.create_index(op.f("ix_booking_facts__scopes_scope__at"), "booking_facts__scopes", ["scope__at"], unique=False)
    op.create_table(
        "entity_refs",
        sa.Column("entity_type", sa.String(length=20), nullable=False),
        sa.Column("entity_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("data", freehold.JsonDocument(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=True),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("entity_type", "entity_id", name=op.f("pk_entity_refs")),
    )
    op.create_index("ix_entity_refs_entity_type_updated_at", "entity_refs", ["entity_type", "updated_at"], unique=False)
    op.create_table(
        "entity_refs__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key__entity_type", sa.String(length=20), autoincrement=False, nullable=False),
        sa.Column("key__entity_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key__entity_type", "key__entity_id", name=op.f("pk_entity_refs__ages")),
    )
    op.create_table(
        "entity_refs__rebuild",
        sa.Column("entity_type", sa.String(length=20), autoincrement=False, nullable=False),
        sa.Column("entity_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("data", freehold.JsonDocument(), autoincrement=False, nullable=True),
        sa.Column("is_deleted", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("status", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("updated_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("entity_type", "entity_id", name=op.f("pk_entity_refs__rebuild")),
    )
    op.create_table(
        "entity_refs__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("entity_type", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("entity_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("data", freehold.JsonDocument(), autoincrement=False, nullable=True),
        sa.Column("is_deleted", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("status", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("updated_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_entity_refs__scopes")),
    )
    op.create_index(op.f("ix_entity_refs__scopes_scope__at"), "entity_refs__scopes", ["scope__at"], unique=False)
    op.create_table(
        "listing_facts",
        sa.Column("vendor_product_id", sa.Uuid(), nullable=False),
        sa.Column("vendor_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("marketplace_price", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("changed_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("vendor_product_id", name=op.f("pk_listing_facts")),
    )
    op.create_index(op.f("ix_listing_facts_product_id"), "listing_facts", ["product_id"], unique=False)
    op.create_index(op.f("ix_listing_facts_vendor_id"), "listing_facts", ["vendor_id"], unique=False)
    op.create_table(
        "listing_facts__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_listing_facts__ages")),
    )
    op.create_table(
        "listing_facts__rebuild",
        sa.Column("vendor_product_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("vendor_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("product_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column(
            "marketplace_price", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True
        ),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("changed_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("vendor_product_id", name=op.f("pk_listing_facts__rebuild")),
    )
    op.create_table(
        "listing_facts__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("vendor_product_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("vendor_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("product_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column(
            "marketplace_price", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True
        ),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("changed_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_listing_facts__scopes")),
    )
    op.create_index(op.f("ix_listing_facts__scopes_scope__at"), "listing_facts__scopes", ["scope__at"], unique=False)
    op.create_table(
        "order_item_facts",
        sa.Column("order_item_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("vendor_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("subtotal", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("commission_amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("ordered_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("delivered_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("order_item_id", name=op.f("pk_order_item_facts")),
    )
    op.create_index(op.f("ix_order_item_facts_order_id"), "order_item_facts", ["order_id"], unique=False)
    op.create_index(op.f("ix_order_item_facts_product_id"), "order_item_facts", ["product_id"], unique=False)
    op.create_index("ix_order_item_facts_vendor_id_status", "order_item_facts", ["vendor_id", "status"], unique=False)
    op.create_table(
        "order_item_facts__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_order_item_facts__ages")),
    )
    op.create_table(
        "order_item_facts__rebuild",
        sa.Column("order_item_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("vendor_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("product_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("quantity", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("subtotal", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column(
            "commission_amount", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True
        ),
        sa.Column("status", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("ordered_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("delivered_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("order_item_id", name=op.f("pk_order_item_facts__rebuild")),
    )
    op.create_table(
        "order_item_facts__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("order_item_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("order_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("vendor_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("product_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("quantity", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("subtotal", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column(
            "commission_amount", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True
        ),
        sa.Column("status", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("ordered_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("delivered_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_order_item_facts__scopes")),
    )
    op.create_index(
        op.f("ix_order_item_facts__scopes_scope__at"), "order_item_facts__scopes", ["scope__at"], unique=False
    )
    op.create_table(
        "payment_facts",
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("payment_status", sa.String(length=20), nullable=False),
        sa.Column("refunded_amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("booking_id", name=op.f("pk_payment_facts")),
    )
    op.create_table(
        "payment_facts__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_payment_facts__ages")),
    )
    op.create_table(
        "payment_facts__rebuild",
        sa.Column("booking_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("payment_status", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("refunded_amount", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("booking_id", name=op.f("pk_payment_facts__rebuild")),
    )
    op.create_table(
        "payment_facts__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("payment_status", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("refunded_amount", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_payment_facts__scopes")),
    )
    op.create_index(op.f("ix_payment_facts__scopes_scope__at"), "payment_facts__scopes", ["scope__at"], unique=False)
    op.create_table(
        "payout_facts",
        sa.Column("payout_id", sa.Uuid(), nullable=False),
        sa.Column("vendor_id", sa.Uuid(), nullable=False),
        sa.Column("amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("is_completed", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("payout_id", name=op.f("pk_payout_facts")),
    )
    op.create_index(op.f("ix_payout_facts_vendor_id"), "payout_facts", ["vendor_id"], unique=False)
    op.create_table(
        "payout_facts__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_payout_facts__ages")),
    )
    op.create_table(
        "payout_facts__rebuild",
        sa.Column("payout_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("vendor_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("amount", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("is_completed", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("payout_id", name=op.f("pk_payout_facts__rebuild")),
    )
    op.create_table(
        "payout_facts__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("payout_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("vendor_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("amount", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("is_completed", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_payout_facts__scopes")),
    )
    op.create_index(op.f("ix_payout_facts__scopes_scope__at"), "payout_facts__scopes", ["scope__at"], unique=False)
    op.create_table(
        "product_availability_view",
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("sku", sa.String(length=50), nullable=False),
        sa.Column("category_id", sa.Uuid(), nullable=True),
        sa.Column("category_name", sa.String(length=100), nullable=True),
        sa.Column("regular_price", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("effective_price", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("quantity_available", sa.Integer(), nullable=False),
        sa.Column("quantity_reserved", sa.Integer(), nullable=False),
        sa.Column("reorder_threshold", sa.Integer(), nullable=False),
        sa.Column(
            "availability",
            sa.Enum(
                "in_stock",
                "low_stock",
                "out_of_stock",
                "inactive",
                name="availability",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("offers", freehold.JsonDocument(), nullable=False),
        sa.Column("offer_count", sa.Integer(), nullable=False),
        sa.Column("lowest_price", freehold.ExactDecimal(precision=12, scale=2), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("source_version", sa.Integer(), nullable=False),
        sa.Column("stock_version", sa.Integer(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_product_availability_view")),
    )
    op.create_index(
        op.f("ix_product_availability_view_availability"), "product_availability_view", ["availability"], unique=False
    )
    op.create_index(
        op.f("ix_product_availability_view_category_id"), "product_availability_view", ["category_id"], unique=False
    )
    op.create_index(
        op.f("ix_product_availability_view_lowest_price"), "product_availability_view", ["lowest_price"], unique=False
    )
    op.create_table(
        "product_facts",
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("sku", sa.String(length=50), nullable=False),
        sa.Column("category_id", sa.Uuid(), nullable=True),
        sa.Column("category_name", sa.String(length=100), nullable=True),
        sa.Column("regular_price", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("sale_price", freehold.ExactDecimal(precision=12, scale=2), nullable=True),
        sa.Column("on_sale", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_product_facts")),
    )
    op.create_index(op.f("ix_product_facts_category_id"), "product_facts", ["category_id"], unique=False)
    op.create_table(
        "product_facts__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_product_facts__ages")),
    )
    op.create_table(
        "product_facts__rebuild",
        sa.Column("product_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("sku", sa.String(length=50), autoincrement=False, nullable=True),
        sa.Column("category_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("category_name", sa.String(length=100), autoincrement=False, nullable=True),
        sa.Column("regular_price", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("sale_price", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("on_sale", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_product_facts__rebuild")),
    )
    op.create_table(
        "product_facts__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("product_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("sku", sa.String(length=50), autoincrement=False, nullable=True),
        sa.Column("category_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("category_name", sa.String(length=100), autoincrement=False, nullable=True),
        sa.Column("regular_price", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("sale_price", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("on_sale", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_product_facts__scopes")),
    )
    op.create_index(op.f("ix_product_facts__scopes_scope__at"), "product_facts__scopes", ["scope__at"], unique=False)
    op.create_table(
        "review_facts",
        sa.Column("review_id", sa.Uuid(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("rating", sa.Integer(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("review_id", name=op.f("pk_review_facts")),
    )
    op.create_index(op.f("ix_review_facts_booking_id"), "review_facts", ["booking_id"], unique=False)
    op.create_table(
        "review_facts__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_review_facts__ages")),
    )
    op.create_table(
        "review_facts__rebuild",
        sa.Column("review_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("booking_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("rating", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("is_deleted", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("review_id", name=op.f("pk_review_facts__rebuild")),
    )
    op.create_table(
        "review_facts__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("review_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("booking_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("rating", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("is_deleted", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_review_facts__scopes")),
    )
    op.create_index(op.f("ix_review_facts__scopes_scope__at"), "review_facts__scopes", ["scope__at"], unique=False)
    op.create_table(
        "stock_facts",
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("quantity_available", sa.Integer(), nullable=False),
        sa.Column("quantity_reserved", sa.Integer(), nullable=False),
        sa.Column("reorder_threshold", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_stock_facts")),
    )
    op.create_table(
        "stock_facts__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_stock_facts__ages")),
    )
    op.create_table(
        "stock_facts__rebuild",
        sa.Column("product_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("quantity_available", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("quantity_reserved", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("reorder_threshold", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_stock_facts__rebuild")),
    )
    op.create_table(
        "stock_facts__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("product_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("quantity_available", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("quantity_reserved", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("reorder_threshold", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_stock_facts__scopes")),
    )
    op.create_index(op.f("ix_stock_facts__scopes_scope__at"), "stock_facts__scopes", ["scope__at"], unique=False)
    op.create_table(
        "user_bookings_view",
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("user_name", sa.String(length=255), nullable=True),
        sa.Column("user_email", sa.String(length=255), nullable=True),
        sa.Column("pet_id", sa.Uuid(), nullable=False),
        sa.Column("pet_name", sa.String(length=100), nullable=True),
        sa.Column("pet_species", sa.String(length=50), nullable=True),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_name", sa.String(length=255), nullable=True),
        sa.Column("clinic_city", sa.String(length=100), nullable=True),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("service_name", sa.String(length=255), nullable=True),
        sa.Column("reference_code", sa.String(length=20), nullable=False),
        sa.Column("starts_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("ends_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("payment_status", sa.String(length=20), nullable=False),
        sa.Column("amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("refunded_amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("has_review", sa.Boolean(), nullable=False),
        sa.Column("rating", sa.Integer(), nullable=True),
        sa.Column("source_version", sa.Integer(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("booking_id", name=op.f("pk_user_bookings_view")),
    )
    op.create_index(
        "ix_user_bookings_view_clinic_id_starts_at", "user_bookings_view", ["clinic_id", "starts_at"], unique=False
    )
    op.create_index(op.f("ix_user_bookings_view_pet_id"), "user_bookings_view", ["pet_id"], unique=False)
    op.create_index(op.f("ix_user_bookings_view_service_id"), "user_bookings_view", ["service_id"], unique=False)
    op.create_index(op.f("ix_user_bookings_view_status"), "user_bookings_view", ["status"], unique=False)
    op.create_index(
        "ix_user_bookings_view_user_id_starts_at", "user_bookings_view", ["user_id", "starts_at"], unique=False
    )
    op.create_table(
        "vendor_performance_view",
        sa.Column("vendor_id", sa.Uuid(), nullable=False),
        sa.Column("business_name", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("active_listings", sa.Integer(), nullable=False),
        sa.Column("orders_total", sa.Integer(), nullable=False),
        sa.Column("items_sold", sa.Integer(), nullable=False),
        sa.Column("items_cancelled", sa.Integer(), nullable=False),
        sa.Column("gross_revenue", freehold.ExactDecimal(precision=14, scale=2), nullable=False),
        sa.Column("commission_total", freehold.ExactDecimal(precision=14, scale=2), nullable=False),
        sa.Column("payouts_completed", freehold.ExactDecimal(precision=14, scale=2), nullable=False),
        sa.Column("payouts_outstanding", freehold.ExactDecimal(precision=14, scale=2), nullable=False),
        sa.Column("cancellation_rate", freehold.ExactDecimal(precision=5, scale=2), nullable=False),
        sa.Column("avg_fulfilment_hours", freehold.ExactDecimal(precision=8, scale=2), nullable=True),
        sa.Column("last_order_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("vendor_id", name=op.f("pk_vendor_performance_view")),
    )
    op.create_index(
        op.f("ix_vendor_performance_view_cancellation_rate"),
        "vendor_performance_view",
        ["cancellation_rate"],
        unique=False,
    )
    op.create_index(
        op.f("ix_vendor_performance_view_gross_revenue"), "vendor_performance_view", ["gross_revenue"], unique=False
    )
    op.create_table(
        "view_state",
        sa.Column("view_name", sa.String(length=50), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "empty",
                "live",
                "rebuilding",
                "failed",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("last_event_id", sa.Uuid(), nullable=True),
        sa.Column("last_event_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("last_rebuild_started_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("last_rebuild_finished_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("view_name", name=op.f("pk_view_state")),
    )
