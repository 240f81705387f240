"""Errors as they are stored and shown to operators."""

from __future__ import annotations

from pydantic import ValidationError

from freehold.model.problem import Problem

LONGEST = 2000


def describe(error: BaseException) -> str:
    """An error in one line: what it is and what it says, without the values that a statement or a model was given."""
    if isinstance(error, Problem):
        text = f"{error.code}: {error.detail}" if error.detail else error.code
    elif isinstance(error, ValidationError):
        wrong = error.errors(include_input=False, include_url=False, include_context=False)
        text = "; ".join(f"{'.'.join(map(str, (error.title, *item['loc'])))}: {item['msg']}" for item in wrong)
    else:
        original = getattr(error, "orig", None)
        text = f"{type(error).__name__}: {original if original is not None else error}"
    return text[:LONGEST]
