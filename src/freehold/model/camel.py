"""Bodies in camelCase, for systems whose clients speak it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class CamelModel(BaseModel):
    """A body whose JSON is in camelCase; a request may use the fields' own names as well.

    class PetOut(CamelModel):
        photo_url: str | None        # photoUrl in JSON
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)
