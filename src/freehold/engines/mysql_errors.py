"""What MySQL and MariaDB say when a statement fails: what kind of error it is, and none of the values in it."""

from __future__ import annotations

import re

from asyncmy.errors import Error, IntegrityError

DUPLICATE = 1062
NOT_NULL = 1048
CONFLICTS = {1205, 1213, 1020, 1412, 3572}
"""Lock not had in time, deadlock, row or table changed meanwhile, lock not had at once."""
UNREACHABLE = {
    1040, 1053, 1077, 1079, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1836, 1927, 2002, 2003, 2006, 2013, 2014, 2055,
    3169, 4031,
}  # fmt: skip
"""Full, shutting down, the connection broken or ended by somebody, written to no longer."""
_CHECKS = {3819, 4025}
# Duplicate keys, syntax near …, incorrect and truncated values, what is out of range, text that is not in its encoding.
_QUOTING = {1062, 1064, 1139, 1149, 1292, 1300, 1366, 1367, 1411, 1416, 1525, 1526, 1586, 1690, 1761, 1762, 1859, 3140,
            3141, 3156, 4038}  # fmt: skip
_WHERE = re.compile(r"for (key|column) \S+( at row \d+)?$")


def heard(error: Error, *, guarded: bool = False) -> Error:
    """The error as it goes to the caller: of the right class, and without what it quotes of rows and statements.

    `guarded`: of a statement that refuses another unique key than its own by a NULL.
    """
    number, text = code(error), str(error.args[1]) if len(error.args) > 1 else ""
    if number in _QUOTING:
        where = _WHERE.search(text)
        said = re.split("['\"]", text, maxsplit=1)[0].rstrip(" :")
        error.args = (number, f"{said} {where.group()}" if where else said)
    if number in _CHECKS:
        return IntegrityError(*error.args)
    if guarded and number == NOT_NULL:
        return IntegrityError(DUPLICATE, "Duplicate entry for another unique key than the upsert's own")
    return error


def code(error: BaseException) -> int:
    """The server's number for it, or the driver's; 0 when it has none."""
    number = error.args[0] if isinstance(error, Error) and error.args else 0
    return number if isinstance(number, int) else 0
