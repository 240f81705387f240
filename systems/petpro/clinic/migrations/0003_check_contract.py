"""Check, once the version before is gone."""

from alembic.operations import Operations


def upgrade(op: Operations) -> None:
    op.create_check_constraint(op.f("ck_clinics_commission_rate"), "clinics", "commission_rate BETWEEN 0 AND 10000")
