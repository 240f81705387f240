"""Check."""

from alembic.operations import Operations


def upgrade(op: Operations) -> None:
    op.drop_constraint(op.f("ck_clinics_commission_rate"), "clinics", type_="check")
