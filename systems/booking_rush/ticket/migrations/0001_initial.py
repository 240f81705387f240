"""Initial."""

import sqlalchemy as sa
from alembic.operations import Operations

import freehold


def upgrade(op: Operations) -> None:
    op.create_table(
        "categories",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("slug", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("icon", sa.String(length=50), nullable=True),
        sa.Column("sort_order", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("deleted_at", freehold.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_categories")),
        sa.UniqueConstraint("tenant_id", "slug", name=op.f("uq_categories_tenant_id_slug")),
    )
    op.create_index(op.f("ix_categories_tenant_id"), "categories", ["tenant_id"], unique=False)
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
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("organizer_id", sa.Uuid(), nullable=False),
        sa.Column("category_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("slug", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("short_description", sa.String(length=500), nullable=True),
        sa.Column("poster_url", sa.Text(), nullable=True),
        sa.Column("banner_url", sa.Text(), nullable=True),
        sa.Column("gallery", freehold.JsonDocument(), nullable=False),
        sa.Column("venue_name", sa.String(length=255), nullable=True),
        sa.Column("venue_address", sa.Text(), nullable=True),
        sa.Column("city", sa.String(length=100), nullable=True),
        sa.Column("country", sa.String(length=100), nullable=True),
        sa.Column("latitude", freehold.ExactDecimal(precision=10, scale=8), nullable=True),
        sa.Column("longitude", freehold.ExactDecimal(precision=11, scale=8), nullable=True),
        sa.Column("max_tickets_per_user", sa.Integer(), nullable=False),
        sa.Column("booking_start_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("booking_end_at", freehold.UtcDateTime(), nullable=True),
        sa.Column(
            "status",
            sa.Enum(
                "draft",
                "published",
                "cancelled",
                "completed",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("is_featured", sa.Boolean(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("settings", freehold.JsonDocument(), nullable=False),
        sa.Column("published_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("deleted_at", freehold.UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "booking_end_at IS NULL OR booking_start_at IS NULL OR booking_end_at >= booking_start_at",
            name=op.f("ck_events_booking_window"),
        ),
        sa.CheckConstraint("max_tickets_per_user >= 0", name=op.f("ck_events_max_tickets")),
        sa.ForeignKeyConstraint(
            ["category_id"], ["categories.id"], name=op.f("fk_events_category_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("tenant_id", "slug", name=op.f("uq_events_tenant_id_slug")),
    )
    op.create_index(op.f("ix_events_organizer_id"), "events", ["organizer_id"], unique=False)
    op.create_index(
        "ix_events_public",
        "events",
        ["is_public"],
        unique=False,
        postgresql_where=sa.text("is_public"),
        sqlite_where=sa.text("is_public"),
    )
    op.create_index(op.f("ix_events_slug"), "events", ["slug"], unique=False)
    op.create_index(op.f("ix_events_status"), "events", ["status"], unique=False)
    op.create_index(op.f("ix_events_tenant_id"), "events", ["tenant_id"], unique=False)
    op.create_table(
        "shows",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("show_date", sa.Date(), nullable=False),
        sa.Column("start_time", freehold.TimeTz(length=21), nullable=False),
        sa.Column("end_time", freehold.TimeTz(length=21), nullable=True),
        sa.Column("doors_open_at", freehold.TimeTz(length=21), nullable=True),
        sa.Column(
            "status",
            sa.Enum(
                "scheduled",
                "on_sale",
                "sold_out",
                "cancelled",
                "completed",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("sale_start_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("sale_end_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("total_capacity", sa.Integer(), nullable=False),
        sa.Column("reserved_count", sa.Integer(), nullable=False),
        sa.Column("sold_count", sa.Integer(), nullable=False),
        sa.Column("settings", freehold.JsonDocument(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("deleted_at", freehold.UtcDateTime(), nullable=True),
        sa.CheckConstraint("reserved_count >= 0", name=op.f("ck_shows_reserved_count")),
        sa.CheckConstraint("sold_count >= 0", name=op.f("ck_shows_sold_count")),
        sa.CheckConstraint("total_capacity >= 0", name=op.f("ck_shows_total_capacity")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_shows_event_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shows")),
    )
    op.create_index(op.f("ix_shows_event_id"), "shows", ["event_id"], unique=False)
    op.create_index(op.f("ix_shows_status"), "shows", ["status"], unique=False)
    op.create_table(
        "seat_zones",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("show_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("color", sa.String(length=7), nullable=True),
        sa.Column("price", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total_seats", sa.Integer(), nullable=False),
        sa.Column("available_seats", sa.Integer(), nullable=False),
        sa.Column("reserved_seats", sa.Integer(), nullable=False),
        sa.Column("sold_seats", sa.Integer(), nullable=False),
        sa.Column("min_per_order", sa.Integer(), nullable=False),
        sa.Column("max_per_order", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("sort_order", sa.Integer(), nullable=False),
        sa.Column("sale_start_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("sale_end_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("attributes", freehold.JsonDocument(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("deleted_at", freehold.UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "available_seats + reserved_seats + sold_seats = total_seats", name=op.f("ck_seat_zones_seats_add_up")
        ),
        sa.CheckConstraint("available_seats >= 0", name=op.f("ck_seat_zones_available_seats")),
        sa.CheckConstraint("max_per_order >= min_per_order", name=op.f("ck_seat_zones_max_per_order")),
        sa.CheckConstraint("min_per_order >= 1", name=op.f("ck_seat_zones_min_per_order")),
        sa.CheckConstraint("price >= 0", name=op.f("ck_seat_zones_price")),
        sa.CheckConstraint("reserved_seats >= 0", name=op.f("ck_seat_zones_reserved_seats")),
        sa.CheckConstraint("sold_seats >= 0", name=op.f("ck_seat_zones_sold_seats")),
        sa.CheckConstraint("total_seats > 0", name=op.f("ck_seat_zones_total_seats")),
        sa.ForeignKeyConstraint(["show_id"], ["shows.id"], name=op.f("fk_seat_zones_show_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seat_zones")),
    )
    op.create_index(
        "ix_seat_zones_available",
        "seat_zones",
        ["show_id", "available_seats"],
        unique=False,
        postgresql_where=sa.text("is_active AND available_seats > 0"),
        sqlite_where=sa.text("is_active AND available_seats > 0"),
    )
    op.create_index(op.f("ix_seat_zones_show_id"), "seat_zones", ["show_id"], unique=False)
