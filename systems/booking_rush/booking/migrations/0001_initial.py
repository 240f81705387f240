"""Initial."""

import sqlalchemy as sa
from alembic.operations import Operations

import freehold


def upgrade(op: Operations) -> None:
    op.create_table(
        "bookings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("show_id", sa.Uuid(), nullable=False),
        sa.Column("zone_id", sa.Uuid(), nullable=False),
        sa.Column("event_name", sa.String(length=255), nullable=False),
        sa.Column("show_date", sa.Date(), nullable=False),
        sa.Column("show_time", freehold.TimeTz(length=21), nullable=False),
        sa.Column("zone_name", sa.String(length=100), nullable=False),
        sa.Column("venue_name", sa.String(length=255), nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("total_amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "reserved",
                "confirmed",
                "cancelled",
                "expired",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("confirmation_code", sa.String(length=20), nullable=True),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("reserved_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("reservation_expires_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("confirmed_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("cancelled_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("cancelled_by", sa.Uuid(), nullable=True),
        sa.Column("metadata", freehold.JsonDocument(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_bookings_quantity")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bookings")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_bookings_idempotency_key")),
    )
    op.create_index(
        "idx_bookings_open_of_user",
        "bookings",
        ["user_id", "event_id"],
        unique=False,
        postgresql_where=sa.text("status IN ('reserved', 'confirmed')"),
        sqlite_where=sa.text("status IN ('reserved', 'confirmed')"),
    )
    op.create_index(
        "idx_bookings_pending_expired",
        "bookings",
        ["reservation_expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'reserved'"),
        sqlite_where=sa.text("status = 'reserved'"),
    )
    op.create_index("idx_bookings_status", "bookings", ["status"], unique=False)
    op.create_index(
        "idx_bookings_user_history", "bookings", ["user_id", sa.literal_column("created_at DESC")], unique=False
    )
    op.create_index(op.f("ix_bookings_event_id"), "bookings", ["event_id"], unique=False)
    op.create_index(op.f("ix_bookings_payment_id"), "bookings", ["payment_id"], unique=False)
    op.create_index(op.f("ix_bookings_show_id"), "bookings", ["show_id"], unique=False)
    op.create_index(op.f("ix_bookings_tenant_id"), "bookings", ["tenant_id"], unique=False)
    op.create_index(op.f("ix_bookings_user_id"), "bookings", ["user_id"], unique=False)
    op.create_index(op.f("ix_bookings_zone_id"), "bookings", ["zone_id"], unique=False)
    op.create_index(
        "uq_bookings_confirmation_code",
        "bookings",
        ["confirmation_code"],
        unique=True,
        postgresql_where=sa.text("confirmation_code IS NOT NULL"),
        sqlite_where=sa.text("confirmation_code IS NOT NULL"),
    )
    op.create_table(
        "event_queues",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("max_concurrent_bookings", sa.Integer(), nullable=False),
        sa.Column("queue_pass_ttl_minutes", sa.Double(), nullable=False),
        sa.Column("max_queue_size", sa.Integer(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.CheckConstraint("waiting >= 0", name=op.f("ck_event_queues_waiting")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_event_queues")),
    )
    op.create_index(op.f("ix_event_queues_tenant_id"), "event_queues", ["tenant_id"], unique=False)
    op.create_table(
        "queue_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "waiting",
                "released",
                "used",
                "lapsed",
                "left",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("joined_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("expires_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("released_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("pass_expires_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("ended_at", freehold.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queue_entries")),
    )
    op.create_index("idx_queue_entries_changes", "queue_entries", ["event_id", "revision"], unique=False)
    op.create_index("idx_queue_entries_ended", "queue_entries", ["ended_at"], unique=False)
    op.create_index(
        "idx_queue_entries_line",
        "queue_entries",
        ["event_id", "number"],
        unique=False,
        postgresql_where=sa.text("status = 'waiting'"),
        sqlite_where=sa.text("status = 'waiting'"),
    )
    op.create_index(
        "idx_queue_entries_overdue",
        "queue_entries",
        ["event_id", "expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'waiting'"),
        sqlite_where=sa.text("status = 'waiting'"),
    )
    op.create_index(
        "idx_queue_entries_passes",
        "queue_entries",
        ["event_id", "pass_expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'released'"),
        sqlite_where=sa.text("status = 'released'"),
    )
    op.create_index(op.f("ix_queue_entries_tenant_id"), "queue_entries", ["tenant_id"], unique=False)
    op.create_index(op.f("ix_queue_entries_user_id"), "queue_entries", ["user_id"], unique=False)
    op.create_index(
        "uq_queue_entries_open",
        "queue_entries",
        ["event_id", "user_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('waiting', 'released')"),
        sqlite_where=sa.text("status IN ('waiting', 'released')"),
    )
    op.create_table(
        "tenant_directory",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("version_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenant_directory")),
    )
    op.create_table(
        "tenant_directory__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_tenant_directory__ages")),
    )
    op.create_table(
        "tenant_directory__rebuild",
        sa.Column("tenant_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("slug", sa.String(length=100), autoincrement=False, nullable=True),
        sa.Column("name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenant_directory__rebuild")),
    )
    op.create_table(
        "tenant_directory__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("slug", sa.String(length=100), autoincrement=False, nullable=True),
        sa.Column("name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_tenant_directory__scopes")),
    )
    op.create_index(
        op.f("ix_tenant_directory__scopes_scope__at"), "tenant_directory__scopes", ["scope__at"], unique=False
    )
    op.create_table(
        "user_directory",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=True),
        sa.Column("deleted", sa.Boolean(), nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_user_directory")),
    )
    op.create_index(op.f("ix_user_directory_tenant_id"), "user_directory", ["tenant_id"], unique=False)
    op.create_table(
        "user_directory__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_user_directory__ages")),
    )
    op.create_table(
        "user_directory__rebuild",
        sa.Column("user_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("email", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("name", sa.String(length=200), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("deleted", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_user_directory__rebuild")),
    )
    op.create_table(
        "user_directory__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("user_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("tenant_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("email", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("name", sa.String(length=200), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("deleted", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_user_directory__scopes")),
    )
    op.create_index(op.f("ix_user_directory__scopes_scope__at"), "user_directory__scopes", ["scope__at"], unique=False)
    op.create_table(
        "zone_directory",
        sa.Column("zone_id", sa.Uuid(), nullable=False),
        sa.Column("show_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("zone_name", sa.String(length=100), nullable=False),
        sa.Column("event_name", sa.String(length=255), nullable=True),
        sa.Column("venue_name", sa.String(length=255), nullable=True),
        sa.Column("show_date", sa.Date(), nullable=True),
        sa.Column("show_time", freehold.TimeTz(length=21), nullable=True),
        sa.Column("price", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total_seats", sa.Integer(), nullable=False),
        sa.Column("min_per_order", sa.Integer(), nullable=False),
        sa.Column("max_per_order", sa.Integer(), nullable=False),
        sa.Column("max_tickets_per_user", sa.Integer(), nullable=True),
        sa.Column("booking_start_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("booking_end_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("on_sale", sa.Boolean(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=True),
        sa.Column("sold_out", sa.Boolean(), nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("zone_id", name=op.f("pk_zone_directory")),
    )
    op.create_index(op.f("ix_zone_directory_event_id"), "zone_directory", ["event_id"], unique=False)
    op.create_index(op.f("ix_zone_directory_show_id"), "zone_directory", ["show_id"], unique=False)
    op.create_index(op.f("ix_zone_directory_tenant_id"), "zone_directory", ["tenant_id"], unique=False)
    op.create_table(
        "zone_directory__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_zone_directory__ages")),
    )
    op.create_table(
        "zone_directory__rebuild",
        sa.Column("zone_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("show_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("event_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("tenant_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("zone_name", sa.String(length=100), autoincrement=False, nullable=True),
        sa.Column("event_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("venue_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("show_date", sa.Date(), autoincrement=False, nullable=True),
        sa.Column("show_time", freehold.TimeTz(length=21), autoincrement=False, nullable=True),
        sa.Column("price", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("currency", sa.String(length=3), autoincrement=False, nullable=True),
        sa.Column("total_seats", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("min_per_order", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("max_per_order", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("max_tickets_per_user", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("booking_start_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("booking_end_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("on_sale", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("sold_out", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("zone_id", name=op.f("pk_zone_directory__rebuild")),
    )
    op.create_table(
        "zone_directory__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("zone_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("show_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("event_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("tenant_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("zone_name", sa.String(length=100), autoincrement=False, nullable=True),
        sa.Column("event_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("venue_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("show_date", sa.Date(), autoincrement=False, nullable=True),
        sa.Column("show_time", freehold.TimeTz(length=21), autoincrement=False, nullable=True),
        sa.Column("price", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("currency", sa.String(length=3), autoincrement=False, nullable=True),
        sa.Column("total_seats", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("min_per_order", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("max_per_order", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("max_tickets_per_user", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("booking_start_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("booking_end_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("on_sale", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("sold_out", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_zone_directory__scopes")),
    )
    op.create_index(op.f("ix_zone_directory__scopes_scope__at"), "zone_directory__scopes", ["scope__at"], unique=False)
    op.create_table(
        "zone_inventory",
        sa.Column("zone_id", sa.Uuid(), nullable=False),
        sa.Column("show_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("total_seats", sa.Integer(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("oversold", sa.Integer(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("checked_revision", sa.BigInteger(), nullable=False),
        sa.Column("capacity_at", freehold.UtcDateTime(), nullable=True),
        sa.CheckConstraint("taken >= 0 AND taken <= total_seats + oversold", name=op.f("ck_zone_inventory_seats")),
        sa.PrimaryKeyConstraint("zone_id", name=op.f("pk_zone_inventory")),
    )
    op.create_index(op.f("ix_zone_inventory_event_id"), "zone_inventory", ["event_id"], unique=False)
    op.create_index(op.f("ix_zone_inventory_show_id"), "zone_inventory", ["show_id"], unique=False)
    op.create_index(op.f("ix_zone_inventory_tenant_id"), "zone_inventory", ["tenant_id"], unique=False)
