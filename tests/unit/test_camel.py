"""Bodies in camelCase, and the pages of lists made of them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import TypeAdapter, ValidationError

from freehold import CamelListing, CamelModel, Listing, Percent
from freehold.runtime.paging import PageMeta


class PetOut(CamelModel):
    pet_id: int
    photo_url: str | None = None


def test_answers_are_in_camel_case() -> None:
    assert PetOut(pet_id=1).model_dump(mode="json", by_alias=True) == {"petId": 1, "photoUrl": None}


@pytest.mark.parametrize("given", [{"petId": 1, "photoUrl": "x"}, {"pet_id": 1, "photo_url": "x"}])
def test_requests_may_use_either(given: dict[str, object]) -> None:
    assert PetOut.model_validate(given) == PetOut(pet_id=1, photo_url="x")


def test_an_invalid_field_is_named_as_the_client_knows_it() -> None:
    with pytest.raises(ValidationError) as refused:
        PetOut.model_validate({})
    assert refused.value.errors()[0]["loc"] == ("petId",)


def test_a_page_says_where_it_lies() -> None:
    listing = Listing(data=[PetOut(pet_id=1)], meta=PageMeta(page=2, per_page=1, total=3, total_pages=3))
    assert CamelListing.of(listing).model_dump(mode="json", by_alias=True) == {
        "data": [{"petId": 1, "photoUrl": None}],
        "nextCursor": None,
        "meta": {"page": 2, "limit": 1, "total": 3, "totalPages": 3},
    }


def test_a_page_that_was_followed_by_cursor_counts_nothing() -> None:
    assert CamelListing.of(Listing(data=[PetOut(pet_id=1)], next_cursor="more")).meta is None


def test_a_percentage_has_two_decimals() -> None:
    percent = TypeAdapter(Percent)
    assert percent.validate_python("12.5") == Decimal("12.50")
    assert percent.dump_json(Decimal("12.50")) == b'"12.50"'
    for wrong in ("12.345", "1000", "NaN"):
        with pytest.raises(ValidationError):
            percent.validate_python(wrong)
