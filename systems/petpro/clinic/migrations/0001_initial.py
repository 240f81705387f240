"""Initial."""

import sqlalchemy as sa
from alembic.operations import Operations

import freehold


def upgrade(op: Operations) -> None:
    op.create_table(
        "clinic_appointments",
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.Uuid(), nullable=True),
        sa.Column("reference_code", sa.String(length=20), nullable=False),
        sa.Column("service_name", sa.String(length=255), nullable=True),
        sa.Column("pet_name", sa.String(length=100), nullable=True),
        sa.Column("customer_name", sa.String(length=255), nullable=True),
        sa.Column("starts_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("ends_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("booking_id", name=op.f("pk_clinic_appointments")),
    )
    op.create_index(
        "ix_clinic_appointments_clinic_id_starts_at", "clinic_appointments", ["clinic_id", "starts_at"], unique=False
    )
    op.create_index(
        "ix_clinic_appointments_staff_id_starts_at", "clinic_appointments", ["staff_id", "starts_at"], unique=False
    )
    op.create_table(
        "clinic_appointments__ages",
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("key", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("ages", freehold.JsonDocument(), nullable=False),
        sa.PrimaryKeyConstraint("shadow", "key", name=op.f("pk_clinic_appointments__ages")),
    )
    op.create_table(
        "clinic_appointments__rebuild",
        sa.Column("booking_id", sa.Uuid(), autoincrement=False, nullable=False),
        sa.Column("clinic_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("staff_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("reference_code", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("service_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("pet_name", sa.String(length=100), autoincrement=False, nullable=True),
        sa.Column("customer_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("starts_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("ends_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("status", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("updated_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("booking_id", name=op.f("pk_clinic_appointments__rebuild")),
    )
    op.create_table(
        "clinic_appointments__scopes",
        sa.Column("scope__id", sa.String(length=64), nullable=False),
        sa.Column("scope__versions", freehold.JsonDocument(), nullable=False),
        sa.Column("scope__at", freehold.UtcDateTime(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("clinic_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("staff_id", sa.Uuid(), autoincrement=False, nullable=True),
        sa.Column("reference_code", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("service_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("pet_name", sa.String(length=100), autoincrement=False, nullable=True),
        sa.Column("customer_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("starts_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("ends_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.Column("status", sa.String(length=20), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("updated_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_clinic_appointments__scopes")),
    )
    op.create_index(
        op.f("ix_clinic_appointments__scopes_scope__at"), "clinic_appointments__scopes", ["scope__at"], unique=False
    )
    op.create_table(
        "clinics",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("address", sa.String(length=500), nullable=False),
        sa.Column("city", sa.String(length=100), nullable=False),
        sa.Column("province", sa.String(length=100), nullable=False),
        sa.Column("postal_code", sa.String(length=10), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("phone_number", sa.String(length=20), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("website", sa.String(length=255), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("operating_hours", freehold.JsonDocument(), nullable=False),
        sa.Column("facilities", freehold.JsonDocument(), nullable=False),
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
        sa.Column("commission_rate", freehold.ExactDecimal(precision=5, scale=2), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("timezone", sa.String(length=50), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            freehold.spelled("commission_rate BETWEEN 0 AND 100", sqlite="commission_rate BETWEEN 0 AND 10000"),
            name=op.f("ck_clinics_commission_rate"),
        ),
        sa.CheckConstraint("latitude IS NULL OR latitude BETWEEN -90 AND 90", name=op.f("ck_clinics_latitude")),
        sa.CheckConstraint("longitude IS NULL OR longitude BETWEEN -180 AND 180", name=op.f("ck_clinics_longitude")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clinics")),
    )
    op.create_index("ix_clinics_city_province", "clinics", ["city", "province"], unique=False)
    op.create_index(op.f("ix_clinics_owner_id"), "clinics", ["owner_id"], unique=False)
    op.create_index(op.f("ix_clinics_status"), "clinics", ["status"], unique=False)
    op.create_table(
        "review_refs",
        sa.Column("review_id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("rating", sa.Integer(), nullable=False),
        sa.Column("is_counted", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.CheckConstraint("rating BETWEEN 1 AND 5", name=op.f("ck_review_refs_rating")),
        sa.PrimaryKeyConstraint("review_id", name=op.f("pk_review_refs")),
    )
    op.create_index(op.f("ix_review_refs_clinic_id"), "review_refs", ["clinic_id"], unique=False)
    op.create_table(
        "user_refs",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("full_name", sa.String(length=255), nullable=True),
        sa.Column("email", sa.String(length=255), nullable=True),
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
        sa.Column("full_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("email", sa.String(length=255), autoincrement=False, nullable=True),
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
        sa.Column("full_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("email", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("synced_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_user_refs__scopes")),
    )
    op.create_index(op.f("ix_user_refs__scopes_scope__at"), "user_refs__scopes", ["scope__at"], unique=False)
    op.create_table(
        "clinic_documents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column(
            "document_type",
            sa.Enum(
                "business_license",
                "veterinary_license",
                "tax_registration",
                "identity",
                "insurance",
                "other",
                name="document_type",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("document_name", sa.String(length=255), nullable=False),
        sa.Column("document_url", sa.String(length=500), nullable=False),
        sa.Column("is_verified", sa.Boolean(), nullable=False),
        sa.Column("verified_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.CheckConstraint("is_verified = (verified_at IS NOT NULL)", name=op.f("ck_clinic_documents_is_verified")),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], name=op.f("fk_clinic_documents_clinic_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clinic_documents")),
    )
    op.create_index(
        "ix_clinic_documents_clinic_id_document_type", "clinic_documents", ["clinic_id", "document_type"], unique=False
    )
    op.create_table(
        "clinic_ratings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("avg_rating", sa.Double(), nullable=False),
        sa.Column("review_count", sa.Integer(), nullable=False),
        sa.Column("rating_distribution", freehold.JsonDocument(), nullable=False),
        sa.Column("last_updated", freehold.UtcDateTime(), nullable=False),
        sa.CheckConstraint("avg_rating >= 0 AND avg_rating <= 5", name=op.f("ck_clinic_ratings_avg_rating")),
        sa.CheckConstraint("review_count >= 0", name=op.f("ck_clinic_ratings_review_count")),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], name=op.f("fk_clinic_ratings_clinic_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clinic_ratings")),
        sa.UniqueConstraint("clinic_id", name=op.f("uq_clinic_ratings_clinic_id")),
    )
    op.create_table(
        "clinic_services",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("price_override", freehold.ExactDecimal(precision=12, scale=2), nullable=True),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", freehold.JsonDocument(), nullable=False),
        sa.CheckConstraint(
            "price_override IS NULL OR price_override >= 0", name=op.f("ck_clinic_services_price_override")
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], name=op.f("fk_clinic_services_clinic_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clinic_services")),
        sa.UniqueConstraint("clinic_id", "service_id", name=op.f("uq_clinic_services_clinic_id_service_id")),
        sa.UniqueConstraint("service_id", name=op.f("uq_clinic_services_service_id")),
    )
    op.create_table(
        "staff",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=True),
        sa.Column("role", sa.String(length=50), nullable=False),
        sa.Column("specialization", sa.String(length=100), nullable=True),
        sa.Column("photo_url", sa.String(length=500), nullable=True),
        sa.Column("working_hours", freehold.JsonDocument(), nullable=False),
        sa.Column("qualifications", freehold.JsonDocument(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "role IN ('veterinarian','assistant','groomer','receptionist','manager')", name=op.f("ck_staff_role")
        ),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], name=op.f("fk_staff_clinic_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("clinic_id", "email", name=op.f("uq_staff_clinic_id_email")),
    )
    op.create_index(op.f("ix_staff_role"), "staff", ["role"], unique=False)
    op.create_index(op.f("ix_staff_user_id"), "staff", ["user_id"], unique=False)
