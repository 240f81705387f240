"""Initial."""

import sqlalchemy as sa
from alembic.operations import Operations

import freehold


def upgrade(op: Operations) -> None:
    op.create_table(
        "clinic_refs",
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("commission_rate", freehold.ExactDecimal(precision=5, scale=2), nullable=False),
        sa.Column("timezone", sa.String(length=50), nullable=False),
        sa.Column("operating_hours", freehold.JsonDocument(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("synced_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", name=op.f("pk_clinic_refs")),
    )
    op.create_index(op.f("ix_clinic_refs_owner_id"), "clinic_refs", ["owner_id"], unique=False)
    op.create_table(
        "clinic_refs__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_clinic_refs__ages")),
    )
    op.create_table(
        "clinic_refs__rebuild",
        sa.Column("clinic_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("owner_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("status", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("commission_rate", freehold.ExactDecimal(precision=5, scale=2), autoincrement=False, nullable=True),
        sa.Column("timezone", sa.String(length=50), autoincrement=False, nullable=True),
        sa.Column("operating_hours", freehold.JsonDocument(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("synced_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("clinic_id", name=op.f("pk_clinic_refs__rebuild")),
    )
    op.create_table(
        "clinic_refs__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("owner_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("status", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("commission_rate", freehold.ExactDecimal(precision=5, scale=2), autoincrement=False, nullable=True),
        sa.Column("timezone", sa.String(length=50), autoincrement=False, nullable=True),
        sa.Column("operating_hours", freehold.JsonDocument(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("synced_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_clinic_refs__scopes")),
    )
    op.create_index(op.f("ix_clinic_refs__scopes_scope__at"), "clinic_refs__scopes", ["scope__at"], unique=False)
    op.create_table(
        "offering_refs",
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("price_override", freehold.ExactDecimal(precision=12, scale=2), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("synced_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("service_id", name=op.f("pk_offering_refs")),
    )
    op.create_index(op.f("ix_offering_refs_clinic_id"), "offering_refs", ["clinic_id"], unique=False)
    op.create_table(
        "offering_refs__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_offering_refs__ages")),
    )
    op.create_table(
        "offering_refs__rebuild",
        sa.Column("service_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("clinic_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("price_override", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("synced_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("service_id", name=op.f("pk_offering_refs__rebuild")),
    )
    op.create_table(
        "offering_refs__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("service_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("clinic_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("price_override", freehold.ExactDecimal(precision=12, scale=2), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("synced_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_offering_refs__scopes")),
    )
    op.create_index(op.f("ix_offering_refs__scopes_scope__at"), "offering_refs__scopes", ["scope__at"], unique=False)
    op.create_table(
        "pet_refs",
        sa.Column("pet_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=True),
        sa.Column("species", sa.String(length=50), nullable=True),
        sa.Column("breed", sa.String(length=100), nullable=True),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("synced_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("pet_id", name=op.f("pk_pet_refs")),
    )
    op.create_index(op.f("ix_pet_refs_user_id"), "pet_refs", ["user_id"], unique=False)
    op.create_table(
        "pet_refs__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_pet_refs__ages")),
    )
    op.create_table(
        "pet_refs__rebuild",
        sa.Column("pet_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("name", sa.String(length=100), autoincrement=False, nullable=True),
        sa.Column("species", sa.String(length=50), autoincrement=False, nullable=True),
        sa.Column("breed", sa.String(length=100), autoincrement=False, nullable=True),
        sa.Column("is_deleted", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("synced_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("pet_id", name=op.f("pk_pet_refs__rebuild")),
    )
    op.create_table(
        "pet_refs__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("pet_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("user_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("name", sa.String(length=100), autoincrement=False, nullable=True),
        sa.Column("species", sa.String(length=50), autoincrement=False, nullable=True),
        sa.Column("breed", sa.String(length=100), autoincrement=False, nullable=True),
        sa.Column("is_deleted", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("synced_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_pet_refs__scopes")),
    )
    op.create_index(op.f("ix_pet_refs__scopes_scope__at"), "pet_refs__scopes", ["scope__at"], unique=False)
    op.create_table(
        "services",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("price", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("duration_minutes", sa.Integer(), nullable=False),
        sa.Column("requires_approval", sa.Boolean(), nullable=False),
        sa.Column("is_available", sa.Boolean(), nullable=False),
        sa.Column("availability_exceptions", freehold.JsonDocument(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column(
            "category",
            sa.Enum(
                "grooming",
                "veterinary",
                "boarding",
                "daycare",
                "training",
                name="category",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "duration_minutes >= 5 AND duration_minutes <= 480", name=op.f("ck_services_duration_minutes")
        ),
        sa.CheckConstraint("price >= 0", name=op.f("ck_services_price")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_services")),
    )
    op.create_index(op.f("ix_services_clinic_id"), "services", ["clinic_id"], unique=False)
    op.create_index(op.f("ix_services_is_available"), "services", ["is_available"], unique=False)
    op.create_index(op.f("ix_services_price"), "services", ["price"], unique=False)
    op.create_table(
        "user_refs",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("full_name", sa.String(length=255), nullable=True),
        sa.Column("phone_number", sa.String(length=20), nullable=True),
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
        sa.Column("phone_number", sa.String(length=20), autoincrement=False, nullable=True),
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
        sa.Column("phone_number", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("synced_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_user_refs__scopes")),
    )
    op.create_index(op.f("ix_user_refs__scopes_scope__at"), "user_refs__scopes", ["scope__at"], unique=False)
    op.create_table(
        "slots",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("slot_date", sa.Date(), nullable=False),
        sa.Column("slot_start_time", sa.Time(), nullable=False),
        sa.Column("slot_end_time", sa.Time(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "available", "booked", "blocked", name="status", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("booked_count", sa.Integer(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.CheckConstraint("booked_count >= 0 AND booked_count <= capacity", name=op.f("ck_slots_booked_count")),
        sa.CheckConstraint("capacity >= 1", name=op.f("ck_slots_capacity")),
        sa.CheckConstraint("slot_end_time > slot_start_time", name=op.f("ck_slots_slot_end_time")),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_slots_service_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slots")),
        sa.UniqueConstraint(
            "service_id",
            "staff_id",
            "slot_date",
            "slot_start_time",
            name=op.f("uq_slots_service_id_staff_id_slot_date_slot_start_time"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index("ix_slots_service_id_slot_date", "slots", ["service_id", "slot_date"], unique=False)
    op.create_index(
        "ix_slots_slot_date_slot_start_time",
        "slots",
        ["slot_date", "slot_start_time"],
        unique=False,
        postgresql_where=sa.text("status = 'available'"),
        sqlite_where=sa.text("status = 'available'"),
    )
    op.create_index("ix_slots_staff_id_slot_date", "slots", ["staff_id", "slot_date"], unique=False)
    op.create_table(
        "reservations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("pet_id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("lock_id", sa.String(length=100), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "pending",
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
        sa.Column("expires_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("extend_count", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint("extend_count <= 1", name=op.f("ck_reservations_extend_count")),
        sa.ForeignKeyConstraint(
            ["service_id"], ["services.id"], name=op.f("fk_reservations_service_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("fk_reservations_slot_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservations")),
        sa.UniqueConstraint("lock_id", name=op.f("uq_reservations_lock_id")),
    )
    op.create_index(
        "ix_reservations_expires_at_live",
        "reservations",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
        sqlite_where=sa.text("status = 'pending'"),
    )
    op.create_index(op.f("ix_reservations_pet_id"), "reservations", ["pet_id"], unique=False)
    op.create_index(op.f("ix_reservations_service_id"), "reservations", ["service_id"], unique=False)
    op.create_index(op.f("ix_reservations_slot_id"), "reservations", ["slot_id"], unique=False)
    op.create_index(op.f("ix_reservations_user_id"), "reservations", ["user_id"], unique=False)
    op.create_index(
        "uq_reservations_user_id_pet_id_slot_id",
        "reservations",
        ["user_id", "pet_id", "slot_id"],
        unique=True,
        postgresql_where=sa.text("status = 'pending'"),
        sqlite_where=sa.text("status = 'pending'"),
    )
    op.create_table(
        "bookings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reservation_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("pet_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("reference_code", sa.String(length=20), nullable=False),
        sa.Column("amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "pending_payment",
                "pending_approval",
                "confirmed",
                "in_progress",
                "completed",
                "cancelled",
                "no_show",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("cancellation_reason", sa.String(length=255), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("snapshot", freehold.JsonDocument(), nullable=False),
        sa.Column("reschedule_count", sa.SmallInteger(), nullable=False),
        sa.Column("holds_seat", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("starts_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("ends_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("ended_at", freehold.UtcDateTime(), nullable=True),
        sa.CheckConstraint("status <> 'cancelled' OR holds_seat = false", name=op.f("ck_bookings_status_cancelled")),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_bookings_amount")),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.id"], name=op.f("fk_bookings_payment_id"), ondelete="SET NULL", use_alter=True
        ),
        sa.ForeignKeyConstraint(
            ["reservation_id"], ["reservations.id"], name=op.f("fk_bookings_reservation_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["service_id"], ["services.id"], name=op.f("fk_bookings_service_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("fk_bookings_slot_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bookings")),
        sa.UniqueConstraint("reference_code", name=op.f("uq_bookings_reference_code")),
        sa.UniqueConstraint("reservation_id", name=op.f("uq_bookings_reservation_id")),
    )
    op.create_index("ix_bookings_clinic_id_status", "bookings", ["clinic_id", "status"], unique=False)
    op.create_index(op.f("ix_bookings_created_at"), "bookings", ["created_at"], unique=False)
    op.create_index(op.f("ix_bookings_ends_at"), "bookings", ["ends_at"], unique=False)
    op.create_index(op.f("ix_bookings_payment_id"), "bookings", ["payment_id"], unique=False)
    op.create_index(op.f("ix_bookings_pet_id"), "bookings", ["pet_id"], unique=False)
    op.create_index(
        "ix_bookings_pet_id_live",
        "bookings",
        ["pet_id"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending_payment','pending_approval','confirmed','in_progress')"),
        sqlite_where=sa.text("status IN ('pending_payment','pending_approval','confirmed','in_progress')"),
    )
    op.create_index(op.f("ix_bookings_service_id"), "bookings", ["service_id"], unique=False)
    op.create_index(op.f("ix_bookings_slot_id"), "bookings", ["slot_id"], unique=False)
    op.create_index(op.f("ix_bookings_staff_id"), "bookings", ["staff_id"], unique=False)
    op.create_index(op.f("ix_bookings_starts_at"), "bookings", ["starts_at"], unique=False)
    op.create_index("ix_bookings_user_id_status", "bookings", ["user_id", "status"], unique=False)
    op.create_table(
        "financial_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column(
            "type",
            sa.Enum(
                "booking_fee", "refund", "adjustment", name="type", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column("total_amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("platform_fee", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("clinic_amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("tax_amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "pending", "settled", "cancelled", name="status", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column("settlement_date", freehold.UtcDateTime(), nullable=True),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("commission_rate", freehold.ExactDecimal(precision=5, scale=2), nullable=False),
        sa.CheckConstraint(
            "(status = 'settled') = (settlement_date IS NOT NULL)", name=op.f("ck_financial_entries_status_settled")
        ),
        sa.CheckConstraint(
            "platform_fee + clinic_amount + tax_amount = total_amount", name=op.f("ck_financial_entries_platform_fee")
        ),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_financial_entries_booking_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_financial_entries")),
    )
    op.create_index("ix_financial_entries_clinic_id_status", "financial_entries", ["clinic_id", "status"], unique=False)
    op.create_index(
        op.f("ix_financial_entries_settlement_date"), "financial_entries", ["settlement_date"], unique=False
    )
    op.create_index(
        "uq_financial_entries_booking_id_type",
        "financial_entries",
        ["booking_id", "type"],
        unique=True,
        postgresql_where=sa.text("type IN ('booking_fee','refund')"),
        sqlite_where=sa.text("type IN ('booking_fee','refund')"),
    )
    op.create_table(
        "payments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("external_reference", sa.String(length=100), nullable=True),
        sa.Column("amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column(
            "payment_method",
            sa.Enum(
                "credit_card",
                "bank_transfer",
                "e_wallet",
                name="payment_method",
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
        sa.Column("payment_details", freehold.JsonDocument(), nullable=False),
        sa.Column("paid_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("refunded_amount", freehold.ExactDecimal(precision=12, scale=2), nullable=False),
        sa.Column("refund_tries", sa.Integer(), nullable=False),
        sa.Column("refund_due_at", freehold.UtcDateTime(), nullable=True),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_payments_amount")),
        sa.CheckConstraint(
            "refunded_amount >= 0 AND refunded_amount <= amount", name=op.f("ck_payments_refunded_amount")
        ),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_payments_booking_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint("booking_id", name=op.f("uq_payments_booking_id")),
    )
    op.create_index(op.f("ix_payments_paid_at"), "payments", ["paid_at"], unique=False)
    op.create_index(op.f("ix_payments_refund_due_at"), "payments", ["refund_due_at"], unique=False)
    op.create_index(op.f("ix_payments_status"), "payments", ["status"], unique=False)
    op.create_index(
        "uq_payments_external_reference",
        "payments",
        ["external_reference"],
        unique=True,
        postgresql_where=sa.text("external_reference IS NOT NULL"),
        sqlite_where=sa.text("external_reference IS NOT NULL"),
    )
    op.create_table(
        "reviews",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("rating", sa.Integer(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("attachments", freehold.JsonDocument(), nullable=False),
        sa.Column("is_verified", sa.Boolean(), nullable=False),
        sa.Column("is_published", sa.Boolean(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("anonymous", sa.Boolean(), nullable=False),
        sa.Column("helpful_count", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("helpful_count >= 0", name=op.f("ck_reviews_helpful_count")),
        sa.CheckConstraint("rating BETWEEN 1 AND 5", name=op.f("ck_reviews_rating")),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_reviews_booking_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["service_id"], ["services.id"], name=op.f("fk_reviews_service_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
        sa.UniqueConstraint("booking_id", name=op.f("uq_reviews_booking_id")),
    )
    op.create_index(
        "ix_reviews_clinic_id_is_published_created_at",
        "reviews",
        ["clinic_id", "is_published", "created_at"],
        unique=False,
    )
    op.create_index(op.f("ix_reviews_service_id"), "reviews", ["service_id"], unique=False)
    op.create_index(op.f("ix_reviews_user_id"), "reviews", ["user_id"], unique=False)
    op.create_table(
        "review_helpful",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("review_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["review_id"], ["reviews.id"], name=op.f("fk_review_helpful_review_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_helpful")),
        sa.UniqueConstraint("review_id", "user_id", name=op.f("uq_review_helpful_review_id_user_id")),
    )
    op.create_index(op.f("ix_review_helpful_user_id"), "review_helpful", ["user_id"], unique=False)
    op.create_foreign_key(
        op.f("fk_bookings_payment_id"),
        "bookings",
        "payments",
        ["payment_id"],
        ["id"],
        ondelete="SET NULL",
        use_alter=True,
    )
