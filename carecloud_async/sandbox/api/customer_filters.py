"""The filters of `GET /customers`: combined with AND, list filters OR within."""

from __future__ import annotations

import re
from array import array
from typing import Final

import attrs

from carecloud_async.sandbox.api.calls import Query
from carecloud_async.sandbox.api.customer_input import ISO_DATE
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request
from carecloud_async.sandbox.state.customer_store import CustomerStore

_CZECH_DATE: Final = re.compile(r"^(\d{1,2})\.(\d{1,2})\.(\d{1,4})$")


@attrs.frozen(kw_only=True)
class CustomerFilters:
    """Filters of customers; without any, all customers pass.

    Attributes:
        fields: Names of fields of the personal information, and the values that pass, case-folded.
        source_id: The customer source, or `None` for any.
        customer_ids: The ids that pass, or `None` for all.
    """

    fields: tuple[tuple[str, frozenset[str]], ...] = ()
    source_id: str | None = None
    customer_ids: tuple[str, ...] | None = None

    @classmethod
    def of(cls, query: Query) -> CustomerFilters:
        """Read the filters of a request.

        Raises:
            RefusalError: 400 for a list filter without brackets or a birthdate that is none.
        """
        sent = {name: query.one(name) for name in ("email", "phone", "first_name", "last_name")}
        sent["birthdate"] = _birthdate(query.one("birthdate"))
        fields = [(name, frozenset({value.casefold()})) for name, value in sent.items() if value is not None]
        emails, ids = query.many("email_list"), query.many("customer_ids")
        if emails is not None:
            fields.append(("email", frozenset(map(str.casefold, emails))))
        source_id = query.one("customer_source_id")
        return cls(fields=tuple(fields), source_id=source_id, customer_ids=None if ids is None else tuple(ids))

    def matches(self, store: CustomerStore, slot: int) -> bool:
        """Whether the customer with this number passes all filters."""
        if self.source_id is not None:
            source = store.account_at(slot).customer_source.get("customer_source_id")
            if source != self.source_id:
                return False
        person = store.record(slot).get("personal_information") or {}
        values = ((person.get(name), wanted) for name, wanted in self.fields)
        return all(value is not None and str(value).casefold() in wanted for value, wanted in values)

    def candidates(self, store: CustomerStore) -> list[int] | None:
        """The only numbers that can match where a filter points at them, or `None` for all customers."""
        if self.customer_ids is not None:
            return sorted({slot for one in self.customer_ids if (slot := store.slot(one)) is not None})
        look_ups = {"email": store.by_email, "phone": store.by_phone}
        for name, wanted in self.fields:
            if name in look_ups:
                return sorted({slot for value in wanted for slot in look_ups[name](value)})
        return None


def find_customers(store: CustomerStore, filters: CustomerFilters, *, sort_field: str | None) -> array[int]:
    """Numbers of the customers that pass, in ascending order of the field; not to be changed."""
    everyone = store.slots() if sort_field is None else store.sorted_slots(sort_field)
    if filters == CustomerFilters():
        return everyone

    def search() -> array[int]:
        candidates = filters.candidates(store)
        passed = [slot for slot in (everyone if candidates is None else candidates) if filters.matches(store, slot)]
        if candidates is not None and (field := sort_field) is not None:
            passed.sort(key=lambda slot: (store.sort_value(slot, field), slot))
        return array("I", passed)

    return store.searches.get((filters, sort_field), search)


def _birthdate(text: str | None) -> str | None:
    if text is None or ISO_DATE.match(text):
        return text
    czech = _CZECH_DATE.match(text)
    if czech is None:
        raise bad_request(InvalidParam(name="birthdate", reason="invalid_value_format", value=text))
    day, month, year = czech.groups()
    return f"{year}-{int(month):02}-{int(day):02}"
