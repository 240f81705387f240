"""Initial."""

import sqlalchemy as sa
from alembic.operations import Operations

import freehold


def upgrade(op: Operations) -> None:
    op.create_table(
        "order_holds",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "reserved",
                "rejected",
                "committed",
                "released",
                "returned",
                "cancelled_early",
                name="state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("hold_until", freehold.UtcDateTime(), nullable=True),
        sa.Column("lines", freehold.JsonDocument(), nullable=False),
        sa.Column("rejection", freehold.JsonDocument(), nullable=True),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_order_holds")),
    )
    op.create_index(op.f("ix_order_holds_state"), "order_holds", ["state"], unique=False)
    op.create_table(
        "product_categories",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=True),
        sa.Column("image_url", sa.String(length=500), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("display_order", sa.Integer(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.CheckConstraint("parent_id IS NULL OR parent_id <> id", name=op.f("ck_product_categories_parent_id")),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["product_categories.id"], name=op.f("fk_product_categories_parent_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product_categories")),
        sa.UniqueConstraint(
            "parent_id", "name", name=op.f("uq_product_categories_parent_id_name"), postgresql_nulls_not_distinct=True
        ),
    )
    op.create_index(
        "ix_product_categories_parent_id_display_order",
        "product_categories",
        ["parent_id", "display_order"],
        unique=False,
    )
    op.create_table(
        "products",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("category_id", sa.Uuid(), nullable=False),
        sa.Column("vendor_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=True),
        sa.Column("details", sa.Text(), nullable=True),
        sa.Column("images", freehold.JsonDocument(), nullable=False),
        sa.Column("regular_price", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("sale_price", freehold.ExactDecimal(precision=12, scale=2), nullable=True),
        sa.Column("on_sale", sa.Boolean(), nullable=False),
        sa.Column("sku", sa.String(length=50), nullable=False),
        sa.Column("barcode", sa.String(length=50), nullable=True),
        sa.Column("weight", sa.Double(), nullable=True),
        sa.Column("dimensions", freehold.JsonDocument(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_featured", sa.Boolean(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("on_sale = false OR sale_price IS NOT NULL", name=op.f("ck_products_on_sale")),
        sa.CheckConstraint("regular_price > 0", name=op.f("ck_products_regular_price")),
        sa.CheckConstraint(
            "sale_price IS NULL OR (sale_price > 0 AND sale_price < regular_price)", name=op.f("ck_products_sale_price")
        ),
        sa.ForeignKeyConstraint(
            ["category_id"], ["product_categories.id"], name=op.f("fk_products_category_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("sku", name=op.f("uq_products_sku")),
    )
    op.create_index(op.f("ix_products_barcode"), "products", ["barcode"], unique=False)
    op.create_index(op.f("ix_products_category_id"), "products", ["category_id"], unique=False)
    op.create_index(
        "ix_products_is_featured_live",
        "products",
        ["is_featured"],
        unique=False,
        postgresql_where=sa.text("is_active = true"),
        sqlite_where=sa.text("is_active = true"),
    )
    op.create_index(op.f("ix_products_vendor_id"), "products", ["vendor_id"], unique=False)
    op.create_table(
        "inventory",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("quantity_available", sa.Integer(), nullable=False),
        sa.Column("quantity_reserved", sa.Integer(), nullable=False),
        sa.Column("reorder_threshold", sa.Integer(), nullable=False),
        sa.Column("warehouse_location", sa.String(length=100), nullable=True),
        sa.Column("last_restock_date", freehold.UtcDateTime(), nullable=True),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("low_stock_told_at", freehold.UtcDateTime(), nullable=True),
        sa.CheckConstraint("quantity_available >= 0", name=op.f("ck_inventory_quantity_available")),
        sa.CheckConstraint("quantity_reserved >= 0", name=op.f("ck_inventory_quantity_reserved")),
        sa.CheckConstraint("reorder_threshold >= 0", name=op.f("ck_inventory_reorder_threshold")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_inventory_product_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inventory")),
        sa.UniqueConstraint("product_id", name=op.f("uq_inventory_product_id")),
    )
    op.create_index(op.f("ix_inventory_quantity_available"), "inventory", ["quantity_available"], unique=False)
    op.create_table(
        "inventory_transactions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column(
            "transaction_type",
            sa.Enum(
                "stock_in",
                "stock_out",
                "adjustment",
                "reservation",
                "release",
                "damaged",
                "returned",
                name="transaction_type",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("reference_id", sa.String(length=64), nullable=True),
        sa.Column("reference_type", sa.String(length=30), nullable=True),
        sa.Column("metadata", freehold.JsonDocument(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.CheckConstraint("quantity <> 0", name=op.f("ck_inventory_transactions_quantity")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_inventory_transactions_product_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inventory_transactions")),
    )
    op.create_index(
        "ix_inventory_transactions_product_id_created_at",
        "inventory_transactions",
        ["product_id", "created_at"],
        unique=False,
    )
    op.create_index(
        "ix_inventory_transactions_reference_type_reference_id",
        "inventory_transactions",
        ["reference_type", "reference_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_inventory_transactions_transaction_type"), "inventory_transactions", ["transaction_type"], unique=False
    )
    op.create_index(
        "uq_inventory_transactions_order_item_movement",
        "inventory_transactions",
        ["reference_type", "reference_id", "transaction_type"],
        unique=True,
        postgresql_where=sa.text("reference_type = 'order_item'"),
        sqlite_where=sa.text("reference_type = 'order_item'"),
    )
