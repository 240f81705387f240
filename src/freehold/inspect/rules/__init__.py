"""Every rule there is, as data.

Codes are grouped by ten: 00 ownership, 01 references, 02 imports, 03 events, 04 queries, 05 commands, 06 sagas,
07 routes, 09 views, 10 configuration; 08, isolation, is `freehold.inspect.isolation`'s, and 11, the baseline,
`freehold.inspect.baseline`'s.
"""

from __future__ import annotations

from freehold.inspect.finding import Rule
from freehold.inspect.rules import (
    commands,
    configuration,
    events,
    imports,
    ownership,
    queries,
    references,
    routes,
    sagas,
    views,
)
from freehold.inspect.survey import Survey

RULES: tuple[Rule[Survey], ...] = (
    *ownership.RULES,
    *references.RULES,
    *imports.RULES,
    *events.RULES,
    *queries.RULES,
    *commands.RULES,
    *sagas.RULES,
    *routes.RULES,
    *views.RULES,
    *configuration.RULES,
)
