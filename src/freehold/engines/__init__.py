"""Databases: SQLite and PostgreSQL behind the Engine port."""

from freehold.engines.factory import open_engine

__all__ = ["open_engine"]
