"""References between rows: foreign keys stay inside a service, soft references hit something."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, ForeignKey, UniqueConstraint

from freehold.inspect.finding import Finding, Rule
from freehold.inspect.survey import Survey
from freehold.model.service import Service
from freehold.model.soft_refs import SoftRef, soft_ref_of
from freehold.model.type_names import describe_type


def foreign_key_across_services(survey: Survey) -> Iterator[Finding]:
    for service, column, key in _foreign_keys(survey):
        target = survey.target(service, key)
        if target.service is not None and target.service is not service:
            full = f"{target.service.name}.{target.table}.{target.column}"
            yield Finding(
                _name(service, column),
                f"is a foreign key to {full}, in another service's database",
                f"Use soft_ref({full!r}) instead of ForeignKey",
                survey.place_of_column(service, column),
            )


def foreign_key_to_nowhere(survey: Survey) -> Iterator[Finding]:
    for service, column, key in _foreign_keys(survey):
        target = survey.target(service, key)
        if not target.exists:
            yield Finding(
                _name(service, column),
                f"is a foreign key to {target.table}.{target.column}, which no service has",
                f"Correct the name, or add the table to {service.name}",
                survey.place_of_column(service, column),
            )


def soft_ref_to_nowhere(survey: Survey) -> Iterator[Finding]:
    for service, column, soft in _soft_refs(survey):
        missing = _missing(survey, soft)
        if missing:
            yield Finding(
                _name(service, column),
                f"refers to {soft.target}, but {missing}",
                "Correct the target, written service.table.column",
                survey.place_of_column(service, column),
            )


def soft_ref_type_differs(survey: Survey) -> Iterator[Finding]:
    for service, column, soft in _soft_refs(survey):
        target = survey.column(soft.service, soft.table, soft.column)
        if target is None:
            continue
        kind, wanted = describe_type(column.type)[0], describe_type(target.type)[0]
        if kind != wanted:
            yield Finding(
                _name(service, column),
                f"is {kind}, and {soft.target}, which it refers to, is {wanted}",
                f"Make it {wanted} too",
                survey.place_of_column(service, column),
            )


def soft_ref_not_indexed(survey: Survey) -> Iterator[Finding]:
    for service, column, soft in _soft_refs(survey):
        if not _leads_an_index(column):
            yield Finding(
                _name(service, column),
                f"refers to {soft.target} and leads no index",
                "Leave index=False out, or give the table an index that begins with it",
                survey.place_of_column(service, column),
            )


def _leads_an_index(column: Column[Any]) -> bool:
    table = column.table
    unique = [constraint for constraint in table.constraints if isinstance(constraint, UniqueConstraint)]
    keys = [table.primary_key.columns, *(index.columns for index in table.indexes), *(each.columns for each in unique)]
    return any(next(iter(columns), None) is column for columns in keys)


def _foreign_keys(survey: Survey) -> Iterator[tuple[Service, Column[Any], ForeignKey]]:
    for service, table in survey.tables():
        for column in table.columns:
            for key in column.foreign_keys:
                yield service, column, key


def _soft_refs(survey: Survey) -> Iterator[tuple[Service, Column[Any], SoftRef]]:
    for service, table in survey.tables():
        for column in table.columns:
            soft = soft_ref_of(column)
            if soft is not None:
                yield service, column, soft


def _missing(survey: Survey, soft: SoftRef) -> str | None:
    owner = survey.service(soft.service)
    if owner is None:
        return f"there is no service {soft.service}"
    if soft.table not in owner.metadata.tables:
        return f"{soft.service} has no table {soft.table}"
    if survey.column(soft.service, soft.table, soft.column) is None:
        return f"{soft.service}.{soft.table} has no column {soft.column}"
    return None


def _name(service: Service, column: Column[Any]) -> str:
    return f"{service.name}.{column.table}.{column.name}"


RULES = (
    Rule(
        "FH010",
        "foreign-key-across-services",
        "error",
        "A foreign key stays inside one service's database.",
        foreign_key_across_services,
    ),
    Rule("FH011", "soft-ref-to-nowhere", "error", "A soft reference points to a column there is.", soft_ref_to_nowhere),
    Rule(
        "FH012",
        "soft-ref-type-differs",
        "error",
        "A soft reference has the type of the column it points to.",
        soft_ref_type_differs,
    ),
    Rule(
        "FH013", "foreign-key-to-nowhere", "error", "A foreign key points to a column there is.", foreign_key_to_nowhere
    ),
    Rule(
        "FH014",
        "soft-ref-not-indexed",
        "warning",
        "A soft reference leads an index.",
        soft_ref_not_indexed,
    ),
)
