"""Initial."""

import sqlalchemy as sa
from alembic.operations import Operations

import freehold


def upgrade(op: Operations) -> None:
    op.create_table(
        "customer_directory",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("stripe_customer_id", sa.String(length=255), nullable=True),
        sa.Column("deleted", sa.Boolean(), nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_customer_directory")),
    )
    op.create_index(op.f("ix_customer_directory_tenant_id"), "customer_directory", ["tenant_id"], unique=False)
    op.create_table(
        "customer_directory__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_customer_directory__ages")),
    )
    op.create_table(
        "customer_directory__rebuild",
        sa.Column("user_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("email", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("name", sa.String(length=200), autoincrement=False, nullable=True),
        sa.Column("stripe_customer_id", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("deleted", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_customer_directory__rebuild")),
    )
    op.create_table(
        "customer_directory__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("user_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("tenant_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("email", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("name", sa.String(length=200), autoincrement=False, nullable=True),
        sa.Column("stripe_customer_id", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("deleted", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_customer_directory__scopes")),
    )
    op.create_index(
        op.f("ix_customer_directory__scopes_scope__at"), "customer_directory__scopes", ["scope__at"], unique=False
    )
    op.create_table(
        "kept_cards",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("card_token", sa.String(length=100), nullable=False),
        sa.Column("kept_until", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kept_cards")),
    )
    op.create_index("ix_kept_cards_kept_until", "kept_cards", ["kept_until"], unique=False)
    op.create_table(
        "payments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column(
            "method",
            sa.Enum(
                "credit_card",
                "debit_card",
                "bank_transfer",
                "promptpay",
                "wallet",
                "cash",
                name="method",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "pending",
                "processing",
                "succeeded",
                "failed",
                "cancelled",
                "refund_pending",
                "refunded",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("gateway", sa.String(length=50), nullable=True),
        sa.Column("gateway_payment_id", sa.String(length=255), nullable=True),
        sa.Column("gateway_charge_id", sa.String(length=255), nullable=True),
        sa.Column("gateway_response", freehold.JsonDocument(), nullable=True),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("card_last_four", sa.String(length=4), nullable=True),
        sa.Column("card_brand", sa.String(length=20), nullable=True),
        sa.Column("initiated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("processed_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("completed_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("refund_amount", freehold.ExactDecimal(precision=12, scale=2), nullable=True),
        sa.Column("refund_reason", sa.Text(), nullable=True),
        sa.Column("refunded_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("error_code", sa.String(length=50), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("retry_count", sa.Integer(), nullable=False),
        sa.Column("metadata", freehold.JsonDocument(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("card_token", sa.String(length=100), nullable=True),
        sa.Column("next_attempt_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("refund_attempts", sa.Integer(), nullable=False),
        sa.Column("refund_on_success", sa.Text(), nullable=True),
        sa.Column("claimed_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("refund_key", sa.String(length=255), nullable=True),
        sa.Column("return_asked", sa.Boolean(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payments_amount")),
        sa.CheckConstraint(
            "refund_amount IS NULL OR (refund_amount > 0 AND refund_amount <= amount)",
            name=op.f("ck_payments_refund_amount"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint("booking_id", name=op.f("uq_payments_booking_id")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_payments_idempotency_key")),
    )
    op.create_index(
        "idx_payments_next_attempt",
        "payments",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
        sqlite_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    op.create_index(
        "idx_payments_pending",
        "payments",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending', 'processing')"),
        sqlite_where=sa.text("status IN ('pending', 'processing')"),
    )
    op.create_index("ix_payments_gateway_payment_id", "payments", ["gateway_payment_id"], unique=False)
    op.create_index("ix_payments_status", "payments", ["status"], unique=False)
    op.create_index(op.f("ix_payments_tenant_id"), "payments", ["tenant_id"], unique=False)
    op.create_index(op.f("ix_payments_user_id"), "payments", ["user_id"], unique=False)
    op.create_table(
        "webhook_receipts",
        sa.Column("gateway", sa.String(length=50), nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column("outcome", sa.String(length=50), nullable=False),
        sa.Column("received_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("gateway", "event_id", name=op.f("pk_webhook_receipts")),
    )
