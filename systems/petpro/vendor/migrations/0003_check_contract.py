"""Check, once the version before is gone."""

from alembic.operations import Operations


def upgrade(op: Operations) -> None:
    op.create_check_constraint(op.f("ck_vendors_commission_rate"), "vendors", "commission_rate BETWEEN 0 AND 10000")
