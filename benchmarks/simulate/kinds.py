"""Kinds of bulk writes, their rows, and what is known of a run that has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

__all__ = ["KINDS", "NEW_PRODUCT", "OUT_OF_RANGE", "SOURCE", "Finished", "Kind", "Row"]

Row = dict[str, str]
SOURCE: Final = "86e05affc7a7abefcd513ab400"


#: Dates of birth that are none.
OUT_OF_RANGE: Final = ("2001-02-30", "1e400", "-1", "99999999999999999999")


@frozen(kw_only=True)
class Kind:
    """A kind of bulk write.

    Attributes:
        family: the family's name in the client and in the world.
        match: the key.
        columns: column → dotted field of the record, of the columns that are fields of the record.
        defaults: see `bulk_write`.
        has_card, has_property: whether rows have these parts.
        can_create, can_update: whether the API makes records with this key, and changes known ones.
    """

    family: str
    match: str | None
    columns: Mapping[str, str]
    defaults: Mapping[str, Any] = field(factory=dict)
    has_card: bool = False
    has_property: bool = False
    can_create: bool = True
    can_update: bool = True

    def key_of(self, row: Row) -> str:
        """Return the key of a row."""
        return row.get(self.match or "", "")


_PERSON: Final = {name: f"personal_information.{name}" for name in ("email", "first_name", "last_name", "language_id")}
_DEFAULTS: Final = {"customer_source_id": SOURCE}
#: What each new product must have.
NEW_PRODUCT: Final = {"plu_ids": [{"list_code": "GLOBAL", "code": "1"}]}
KINDS: Final[Mapping[str, Kind]] = {
    "by email": Kind(family="customers", match="email", columns=_PERSON, defaults=_DEFAULTS),
    "by external id": Kind(family="customers", match="external_id", columns=_PERSON, defaults=_DEFAULTS),
    "by card": Kind(
        family="customers", match="card_number", columns=_PERSON, has_card=True, has_property=True,
        defaults={**_DEFAULTS, "card_type_id": "type"},
    ),
    "with parts": Kind(
        family="customers", match="email", columns=_PERSON, has_card=True, has_property=True,
        defaults={**_DEFAULTS, "card_type_id": "type"},
    ),
    "without a key": Kind(family="customers", match=None, columns=_PERSON, defaults=_DEFAULTS),
    "products by code": Kind(
        family="products", match="code", columns={"name": "name", "code": "code"}, defaults=NEW_PRODUCT
    ),
    "products by external id": Kind(
        family="products", match="external_id", columns={"name": "name", "external_id": "external_id"},
        defaults=NEW_PRODUCT, can_create=False, can_update=False,
    ),
    "brands": Kind(
        family="product_brands", match="external_id", columns={"name": "name", "external_id": "external_id"},
        can_update=False,
    ),
}  # fmt: skip


@frozen(kw_only=True)
class Finished:
    """A run that has ended.

    Attributes:
        actor: who ran it.
        kind: the kind.
        began, ended: when.
        results: the rows of its results file.
        counts: the outcomes of its report that are not zero.
        rows: its rows.
        was_stopped: whether it was resumed.
        was_any_stopped: whether a run of this machine was stopped before its end.
        mode: see `bulk_write`.
        is_exact: whether nothing went wrong, so that each outcome is known beforehand.
    """

    actor: str
    kind: Kind
    began: float
    ended: float
    results: list[dict[str, str]]
    counts: dict[str, int]
    rows: list[Row]
    was_stopped: bool
    was_any_stopped: bool
    mode: str = "upsert"
    is_exact: bool = False
