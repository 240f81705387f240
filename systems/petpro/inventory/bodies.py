"""What inventory is asked and answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AliasChoices, Field, model_validator

from freehold import MoneyNumber, Timestamp
from systems.petpro.bodies import Body, PageOf
from systems.petpro.inventory.contract import MovementType
from systems.petpro.inventory.rules import Availability

UNSET: Any = None
"""Default of a field that may be left out, but not be null."""

Text = Annotated[str, Field(max_length=500)]
Price = Annotated[MoneyNumber, Field(gt=0)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Units = Annotated[int, Field(ge=0, le=1_000_000)]
AdjustmentType = Literal["increase", "restock", "decrease", "damaged", "set"]

# --- categories -------------------------------------------------------------------------------------------------------


class CategoryFields(Body):
    description: Text | None = None
    parent_id: Annotated[
        UUID | None, Field(validation_alias=AliasChoices("parentId", "parent_id", "parentCategoryId"))
    ] = None
    image_url: Text | None = None
    is_active: bool = True
    display_order: Annotated[
        Count, Field(validation_alias=AliasChoices("displayOrder", "display_order", "sortOrder", "sort_order"))
    ] = 0


class NewCategory(CategoryFields):
    name: Annotated[str, Field(min_length=1, max_length=100)]


class CategoryChanges(CategoryFields):
    name: Annotated[str, Field(min_length=1, max_length=100)] = UNSET


class CategoryOut(Body):
    id: UUID
    parent_id: UUID | None
    name: str
    description: str | None
    image_url: str | None
    is_active: bool
    display_order: int
    created_at: Timestamp
    updated_at: Timestamp


class CategoryWithChildren(CategoryOut):
    children: list[CategoryOut] = Field(default_factory=list)


class CategoryList(PageOf):
    parent_id: UUID | None = None


# --- products ---------------------------------------------------------------------------------------------------------


class ProductFields(Body):
    description: Text | None = None
    details: Annotated[str, Field(max_length=20_000)] | None = None
    images: Annotated[list[Text], Field(max_length=20)] = Field(default_factory=list)
    sale_price: Price | None = None
    on_sale: bool = False
    barcode: Annotated[str, Field(max_length=50)] | None = None
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    dimensions: dict[str, Any] = Field(default_factory=dict)
    vendor_id: UUID | None = None
    is_active: bool = True
    is_featured: bool = False


class NewProduct(ProductFields):
    name: Annotated[str, Field(min_length=1, max_length=255)]
    category_id: UUID
    sku: Annotated[str, Field(min_length=1, max_length=50)]
    regular_price: Annotated[Price, Field(validation_alias=AliasChoices("price", "regularPrice", "regular_price"))]
    initial_quantity: Units = 0
    reorder_threshold: Annotated[
        Units, Field(validation_alias=AliasChoices("minStock", "min_stock", "reorderThreshold", "reorder_threshold"))
    ] = 5

    @model_validator(mode="after")
    def _prices(self) -> Self:
        if (problem := price_problem(self.regular_price, self.sale_price, on_sale=self.on_sale)) is not None:
            raise ValueError(problem)
        return self


class ProductChanges(ProductFields):
    name: Annotated[str, Field(min_length=1, max_length=255)] = UNSET
    category_id: UUID = UNSET
    sku: Annotated[str, Field(min_length=1, max_length=50)] = UNSET
    regular_price: Annotated[Price, Field(validation_alias=AliasChoices("price", "regularPrice", "regular_price"))] = (
        UNSET
    )
    reorder_threshold: Annotated[
        Units, Field(validation_alias=AliasChoices("minStock", "min_stock", "reorderThreshold", "reorder_threshold"))
    ] = UNSET


def price_problem(regular: Decimal, sale: Decimal | None, *, on_sale: bool) -> str | None:
    """What is wrong with a product's prices, if anything is."""
    if sale is not None and sale >= regular:
        return "salePrice: it must be below the regular price"
    if on_sale and sale is None:
        return "onSale: a product on sale needs a salePrice"
    return None


class ProductOut(Body):
    id: UUID
    category_id: UUID
    vendor_id: UUID | None
    name: str
    description: str | None
    details: str | None
    images: list[Any]
    regular_price: MoneyNumber
    sale_price: MoneyNumber | None
    on_sale: bool
    effective_price: MoneyNumber
    sku: str
    barcode: str | None
    weight: float | None
    dimensions: dict[str, Any]
    is_active: bool
    is_featured: bool
    quantity_available: int
    availability: Availability
    created_at: Timestamp
    updated_at: Timestamp


class ProductPage(PageOf):
    min_price: MoneyNumber | None = None
    max_price: MoneyNumber | None = None
    vendor_id: UUID | None = None
    featured: bool | None = None
    query: Annotated[str, Field(max_length=100)] | None = None


class ProductList(ProductPage):
    category: UUID | None = None


class ProductSearch(ProductList):
    query: Annotated[str, Field(min_length=1, max_length=100)]


# --- stock ------------------------------------------------------------------------------------------------------------


class StockOut(Body):
    """`quantity_reserved` is for those who look after the stock."""

    product_id: UUID
    quantity_available: int
    quantity_reserved: int | None = None
    reorder_threshold: int
    availability: Availability


class LowStock(Body):
    product_id: UUID
    product_name: str
    sku: str
    vendor_id: UUID | None
    quantity_available: int
    quantity_reserved: int
    reorder_threshold: int
    warehouse_location: str | None


class Adjustment(Body):
    adjustment_type: AdjustmentType
    quantity: Units
    reason: Annotated[str, Field(min_length=1, max_length=255)]
    notes: Text | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.quantity == 0 and self.adjustment_type != "set":
            raise ValueError("quantity: it must be above 0, unless the stock is set to it")
        return self


class AdjustedStock(Body):
    product_id: UUID
    quantity_available: int
    quantity_reserved: int
    reorder_threshold: int
    warehouse_location: str | None
    last_restock_date: Timestamp | None
    version: int
    updated_at: Timestamp


class MovementOut(Body):
    id: UUID
    product_id: UUID
    transaction_type: MovementType
    quantity: int
    reference_id: str | None
    reference_type: str | None
    details: Annotated[dict[str, Any], Field(serialization_alias="metadata")]
    created_at: Timestamp


class MovementList(PageOf):
    start_date: Timestamp | None = None
    end_date: Timestamp | None = None
