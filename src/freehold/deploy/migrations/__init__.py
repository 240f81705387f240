"""Migrations: each service's tables, and the toolkit's own beside them, from one revision to the next.

A revision is a file with a function that names its steps (`history`); a step says what it is, whether it is done, and
whom it could trip up (`steps`); `standing` says where a database is, `migrate` moves it on.
"""
