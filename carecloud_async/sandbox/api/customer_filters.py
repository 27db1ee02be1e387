"""The filters of `GET /customers`: combined with AND, list filters OR within."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable
from typing import Final

import attrs

from carecloud_async.sandbox.api.parameters import Query
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.customer_store import CustomerStore

FILTER_NAMES: Final = (
    "email",
    "phone",
    "customer_source_id",
    "first_name",
    "last_name",
    "birthdate",
    "email_list[]",
    "customer_ids[]",
    "customer_short_salutation",
)
"""Query parameters of `GET /customers`, without those of every list."""

_ISO_DATE: Final = re.compile(r"^\d{1,4}-\d{1,2}-\d{1,2}$")
_CZECH_DATE: Final = re.compile(r"^(\d{1,2})\.(\d{1,2})\.(\d{1,4})$")


@attrs.frozen(kw_only=True)
class CustomerFilters:
    """Filters of customers; `None` does not filter. Names and e-mails compare without regard to case."""

    email: str | None = None
    phone: str | None = None
    customer_source_id: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    birthdate: str | None = None
    emails: frozenset[str] | None = None
    customer_ids: tuple[str, ...] | None = None

    def matches(self, store: CustomerStore, slot: int) -> bool:
        """Whether the customer with this number passes all filters."""
        if self.customer_source_id is not None:
            source = store.account_at(slot).customer_source.get("customer_source_id")
            if source != self.customer_source_id:
                return False
        person = store.record(slot).get("personal_information") or {}
        return all(passes(person) for passes in self._tests())

    def _tests(self) -> Iterable[Callable[[JsonObject], bool]]:
        for field in ("email", "phone", "first_name", "last_name", "birthdate"):
            wanted = getattr(self, field)
            if wanted is not None:
                yield _equals(field, wanted)
        emails = self.emails
        if emails is not None:
            yield lambda person: str(person.get("email")).casefold() in emails

    def candidates(self, store: CustomerStore) -> list[int] | None:
        """The only numbers that can match where a filter points at them, or `None` for all customers."""
        if self.customer_ids is not None:
            return sorted({slot for one in self.customer_ids if (slot := store.slot(one)) is not None})
        emails = ({self.email} if self.email is not None else set()) or self.emails
        if emails:
            return sorted({slot for email in emails for slot in store.by_email(email)})
        if self.phone is not None:
            return store.by_phone(self.phone)
        return None


def filters_of(query: Query) -> CustomerFilters:
    """Read the filters of a request.

    Raises:
        RefusalError: 400 for a list filter without brackets or a birthdate that is none.
    """
    emails = query.many("email_list")
    ids = query.many("customer_ids")
    return CustomerFilters(
        email=_folded(query.one("email")),
        phone=query.one("phone"),
        customer_source_id=query.one("customer_source_id"),
        first_name=query.one("first_name"),
        last_name=query.one("last_name"),
        birthdate=_birthdate(query.one("birthdate")),
        emails=None if emails is None else frozenset(email.casefold() for email in emails),
        customer_ids=None if ids is None else tuple(ids),
    )


class CustomerSearch:
    """Finds customers; remembers the last few searches until a customer changes, since pages come in rows.

    Args:
        store: The customers.
    """

    _REMEMBERED: Final = 8

    def __init__(self, store: CustomerStore) -> None:
        self._store = store
        self._remembered: dict[tuple[CustomerFilters, str | None, int], array[int]] = {}

    def find(self, filters: CustomerFilters, *, sort_field: str | None) -> array[int]:
        """Numbers of the customers that pass, in ascending order of the field; not to be changed."""
        store = self._store
        everyone = store.slots() if sort_field is None else store.sorted_slots(sort_field)
        if filters == CustomerFilters():
            return everyone
        key = (filters, sort_field, store.version)
        if key not in self._remembered:
            while len(self._remembered) >= self._REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[key] = self._search(filters, sort_field=sort_field, everyone=everyone)
        return self._remembered[key]

    def _search(self, filters: CustomerFilters, *, sort_field: str | None, everyone: array[int]) -> array[int]:
        candidates = filters.candidates(self._store)
        if candidates is None:
            return array("I", [slot for slot in everyone if filters.matches(self._store, slot)])
        passed = [slot for slot in candidates if filters.matches(self._store, slot)]
        if sort_field is not None:
            passed.sort(key=lambda slot: (self._store.sort_value(slot, sort_field), slot))
        return array("I", passed)


def _equals(field: str, wanted: str) -> Callable[[JsonObject], bool]:
    folded = wanted.casefold()

    def passes(person: JsonObject) -> bool:
        value = person.get(field)
        return value is not None and str(value).casefold() == folded

    return passes


def _folded(text: str | None) -> str | None:
    return None if text is None else text.casefold()


def _birthdate(text: str | None) -> str | None:
    if text is None or _ISO_DATE.match(text):
        return text
    czech = _CZECH_DATE.match(text)
    if czech is None:
        raise bad_request(InvalidParam(name="birthdate", reason="invalid_value_format", value=text))
    day, month, year = czech.groups()
    return f"{year}-{int(month):02}-{int(day):02}"
