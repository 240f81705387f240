"""Check."""

from alembic.operations import Operations


def upgrade(op: Operations) -> None:
    op.drop_constraint(op.f("ck_vendors_commission_rate"), "vendors", type_="check")
