"""Initial."""

import sqlalchemy as sa
from alembic.operations import Operations

import freehold


def upgrade(op: Operations) -> None:
    op.create_table(
        "species",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_species")),
        sa.UniqueConstraint("name", name=op.f("uq_species_name")),
    )
    op.create_table(
        "user_refs",
        sa.Column("user_id", sa.Uuid(), nullable=False),
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
        sa.Column("full_name", sa.String(length=255), autoincrement=False, nullable=True),
        sa.Column("is_active", sa.Boolean(), autoincrement=False, nullable=True),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=True),
        sa.Column("synced_at", freehold.UtcDateTime(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("scope__id", name=op.f("pk_user_refs__scopes")),
    )
    op.create_index(op.f("ix_user_refs__scopes_scope__at"), "user_refs__scopes", ["scope__at"], unique=False)
    op.create_table(
        "breeds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("species_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=True),
        sa.Column("characteristics", freehold.JsonDocument(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["species_id"], ["species.id"], name=op.f("fk_breeds_species_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_breeds")),
        sa.UniqueConstraint("species_id", "name", name=op.f("uq_breeds_species_id_name")),
    )
    op.create_table(
        "pets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("species", sa.String(length=50), nullable=False),
        sa.Column("breed", sa.String(length=100), nullable=True),
        sa.Column("birthdate", sa.Date(), nullable=True),
        sa.Column("weight", sa.Double(), nullable=True),
        sa.Column("gender", sa.String(length=10), nullable=False),
        sa.Column("medical_history", freehold.JsonDocument(), nullable=False),
        sa.Column("photo_url", sa.String(length=500), nullable=True),
        sa.Column("microchip_id", sa.String(length=50), nullable=True),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("deleted_at", freehold.UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("species_id", sa.Uuid(), nullable=True),
        sa.Column("breed_id", sa.Uuid(), nullable=True),
        sa.Column("breed_is_mixed", sa.Boolean(), nullable=True),
        sa.CheckConstraint("gender IN ('male','female','unknown')", name=op.f("ck_pets_gender")),
        sa.CheckConstraint("weight IS NULL OR (weight >= 0.1 AND weight <= 500)", name=op.f("ck_pets_weight")),
        sa.ForeignKeyConstraint(["breed_id"], ["breeds.id"], name=op.f("fk_pets_breed_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["species_id"], ["species.id"], name=op.f("fk_pets_species_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pets")),
    )
    op.create_index(op.f("ix_pets_breed"), "pets", ["breed"], unique=False)
    op.create_index(op.f("ix_pets_breed_id"), "pets", ["breed_id"], unique=False)
    op.create_index(op.f("ix_pets_species"), "pets", ["species"], unique=False)
    op.create_index(op.f("ix_pets_species_id"), "pets", ["species_id"], unique=False)
    op.create_index(op.f("ix_pets_user_id"), "pets", ["user_id"], unique=False)
    op.create_index(
        "uq_pets_microchip_id",
        "pets",
        ["microchip_id"],
        unique=True,
        postgresql_where=sa.text("microchip_id IS NOT NULL AND deleted_at IS NULL"),
        sqlite_where=sa.text("microchip_id IS NOT NULL AND deleted_at IS NULL"),
    )
    op.create_table(
        "pet_medical_records",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pet_id", sa.Uuid(), nullable=False),
        sa.Column("record_date", sa.Date(), nullable=False),
        sa.Column("diagnosis", sa.Text(), nullable=True),
        sa.Column("treatment", sa.Text(), nullable=True),
        sa.Column("veterinarian_id", sa.Uuid(), nullable=True),
        sa.Column("clinic_id", sa.Uuid(), nullable=True),
        sa.Column("record_type", sa.String(length=50), nullable=False),
        sa.Column("attachments", freehold.JsonDocument(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "record_type IN ('checkup','vaccination','surgery','emergency','lab','grooming','other')",
            name=op.f("ck_pet_medical_records_record_type"),
        ),
        sa.ForeignKeyConstraint(
            ["pet_id"], ["pets.id"], name=op.f("fk_pet_medical_records_pet_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pet_medical_records")),
    )
    op.create_index(op.f("ix_pet_medical_records_clinic_id"), "pet_medical_records", ["clinic_id"], unique=False)
    op.create_index(
        "ix_pet_medical_records_pet_id_record_date", "pet_medical_records", ["pet_id", "record_date"], unique=False
    )
    op.create_index(
        op.f("ix_pet_medical_records_veterinarian_id"), "pet_medical_records", ["veterinarian_id"], unique=False
    )
    op.create_table(
        "vaccinations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pet_id", sa.Uuid(), nullable=False),
        sa.Column("vaccine_name", sa.String(length=100), nullable=False),
        sa.Column("administered_date", sa.Date(), nullable=False),
        sa.Column("expiry_date", sa.Date(), nullable=True),
        sa.Column("administered_by", sa.Uuid(), nullable=True),
        sa.Column("clinic_id", sa.Uuid(), nullable=True),
        sa.Column("certificate_info", freehold.JsonDocument(), nullable=False),
        sa.Column("created_at", freehold.UtcDateTime(), nullable=False),
        sa.Column("updated_at", freehold.UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "expiry_date IS NULL OR expiry_date > administered_date", name=op.f("ck_vaccinations_expiry_date")
        ),
        sa.ForeignKeyConstraint(["pet_id"], ["pets.id"], name=op.f("fk_vaccinations_pet_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vaccinations")),
        sa.UniqueConstraint(
            "pet_id",
            "vaccine_name",
            "administered_date",
            name=op.f("uq_vaccinations_pet_id_vaccine_name_administered_date"),
        ),
    )
    op.create_index(op.f("ix_vaccinations_administered_by"), "vaccinations", ["administered_by"], unique=False)
    op.create_index(op.f("ix_vaccinations_clinic_id"), "vaccinations", ["clinic_id"], unique=False)
    op.create_index(op.f("ix_vaccinations_expiry_date"), "vaccinations", ["expiry_date"], unique=False)
