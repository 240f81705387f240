"""Initial."""

import sqlalchemy as sa
from alembic.operations import Operations

import freehold


def upgrade(op: Operations) -> None:
    op.create_table(
        "event_directory",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("organizer_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_event_directory")),
    )
    op.create_index(op.f("ix_event_directory_organizer_id"), "event_directory", ["organizer_id"], unique=False)
    op.create_index(op.f("ix_event_directory_tenant_id"), "event_directory", ["tenant_id"], unique=False)
    op.create_table(
        "event_directory__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_event_directory__ages")),
    )
    op.create_table(
        "event_directory__rebuild",
        sa.Column("event_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("organizer_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("status", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("deleted", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_event_directory__rebuild")),
    )
    op.create_table(
        "event_directory__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("event_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("tenant_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("organizer_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("status", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("deleted", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_event_directory__scopes")),
    )
    op.create_index(
        op.f("ix_event_directory__scopes_scope__at"), "event_directory__scopes", ["scope__at"], unique=False
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=True),
        sa.Column(
            "type",
            sa.Enum(
                "booking_confirmation",
                "e_ticket",
                "payment_receipt",
                "booking_expired",
                "booking_cancelled",
                name="type",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "channel",
            sa.Enum("email", "sms", "push", name="channel", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "pending",
                "sent",
                "failed",
                "retrying",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("recipient", sa.String(length=255), nullable=True),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("metadata", freehold.JsonDocument(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("dedupe_key", sa.String(length=255), nullable=False),
        sa.Column("sent_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("next_attempt_at", freehold.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_notifications_dedupe_key")),
    )
    op.create_index(
        "idx_notifications_due",
        "notifications",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
        sqlite_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_notifications_booking_id"), "notifications", ["booking_id"], unique=False)
    op.create_index("ix_notifications_status", "notifications", ["status"], unique=False)
    op.create_index(op.f("ix_notifications_tenant_id"), "notifications", ["tenant_id"], unique=False)
    op.create_index(op.f("ix_notifications_user_id"), "notifications", ["user_id"], unique=False)
    op.create_table(
        "recipient_directory",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("deleted", sa.Boolean(), nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_recipient_directory")),
    )
    op.create_table(
        "recipient_directory__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_recipient_directory__ages")),
    )
    op.create_table(
        "recipient_directory__rebuild",
        sa.Column("user_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("email", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("name", sa.String(length=200), autoincrement=False, nullable=True),
        sa.Column("deleted", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_recipient_directory__rebuild")),
    )
    op.create_table(
        "recipient_directory__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("user_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("tenant_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("email", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("name", sa.String(length=200), autoincrement=False, nullable=True),
        sa.Column("deleted", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_recipient_directory__scopes")),
    )
    op.create_index(
        op.f("ix_recipient_directory__scopes_scope__at"), "recipient_directory__scopes", ["scope__at"], unique=False
    )
    op.create_table(
        "sales_facts",
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("event_name", sa.String(length=255), nullable=False),
        sa.Column("show_id", sa.Uuid(), nullable=False),
        sa.Column("show_date", sa.Date(), nullable=False),
        sa.Column("zone_id", sa.Uuid(), nullable=False),
        sa.Column("zone_name", sa.String(length=100), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("total_amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("refund_amount", freehold.ExactDecimal(precision=12, scale=2), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("reserved_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("confirmed_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("ended_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("booking_id", name=op.f("pk_sales_facts")),
    )
    op.create_index("idx_sales_facts_sold", "sales_facts", ["tenant_id", "confirmed_at"], unique=False)
    op.create_index(op.f("ix_sales_facts_event_id"), "sales_facts", ["event_id"], unique=False)
    op.create_table(
        "sales_facts__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_sales_facts__ages")),
    )
    op.create_table(
        "sales_facts__rebuild",
        sa.Column("booking_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("event_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("event_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("show_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("show_date", sa.Date(), autoincrement=False, nullable=True),
        sa.Column("zone_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("zone_name", sa.String(length=100), autoincrement=False, nullable=True),
        sa.Column("quantity", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("total_amount", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("refund_amount", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("currency", sa.String(length=3), autoincrement=False, nullable=True),
        sa.Column("status", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("reserved_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("confirmed_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("ended_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("booking_id", name=op.f("pk_sales_facts__rebuild")),
    )
    op.create_table(
        "sales_facts__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("tenant_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("event_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("event_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("show_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("show_date", sa.Date(), autoincrement=False, nullable=True),
        sa.Column("zone_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("zone_name", sa.String(length=100), autoincrement=False, nullable=True),
        sa.Column("quantity", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("total_amount", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("refund_amount", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("currency", sa.String(length=3), autoincrement=False, nullable=True),
        sa.Column("status", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("reserved_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("confirmed_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("ended_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_sales_facts__scopes")),
    )
    op.create_index(op.f("ix_sales_facts__scopes_scope__at"), "sales_facts__scopes", ["scope__at"], unique=False)
    op.create_table(
        "templates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(length=50), nullable=False),
        sa.Column("locale", sa.String(length=8), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_templates")),
        sa.UniqueConstraint("type", "locale", name=op.f("uq_templates_type_locale")),
    )
