"""The simulated server: lists with filters, orders and pages, and writes; it checks nothing that hides a double."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final

from attrs import define, frozen

from benchmarks.simulate.world import FAMILIES, Entry, Json, World, at_path, normal

__all__ = ["FAILS", "HABITS", "REFUSED", "Answer", "Query", "RefusedError", "Server"]

#: Path → family, of lists.
_LISTS: Final = {
    "/customers": "customers",
    "/customer-source-records": "customer_source_records",
    "/cards": "cards",
    "/products": "products",
    "/product-brands": "product_brands",
    "/customer-properties": "customer_properties",
    "/purchases": "purchases",
    "/point-history": "point_history",
}
#: Filter → dotted field, of each family.
_FILTERS: Final[Mapping[str, Mapping[str, str]]] = {
    "customers": {"email_list[]": "personal_information.email", "customer_ids[]": "customer_id"},
    "customer_source_records": {
        "external_ids[]": "external_id",
        "external_id": "external_id",
        "customer_source_id": "customer_source_id",
        "customer_id": "customer_id",
    },
    "cards": {"card_number": "card_number", "card_number_list[]": "card_number", "customer_id": "customer_id"},
    "products": {"code": "code", "external_id": "external_id"},
    "product_brands": {},
    "customer_properties": {},
    "purchases": {"external_purchase_id": "external_purchase_id"},
    "point_history": {"customer_id": "customer_id"},
}
#: A name with this makes the server fail: with 500 for the request that has it.
FAILS: Final = "!500"
#: The part of the records that pages show while they lag.
_UP_TO_DATE: Final = 0.8
#: A name with this is refused.
REFUSED: Final = "!400"
#: What an untidy server does to what it is sent: numbers have two decimals, texts no spaces around them, keys no
#: capitals; a second record with a key is refused.
HABITS: Final = ("rounds", "trims", "folds", "refuses")

#: Fields that are keys.
_KEYS: Final = ("email", "external_id", "code", "card_number")

Query = Mapping[str, list[str]]


class RefusedError(Exception):
    """The server refuses a write: with the name of a field and a reason, or with a status."""


@frozen(kw_only=True)
class Answer:
    """What the server says.

    Attributes:
        status: the status.
        data: what stands under `data`.
    """

    status: int
    data: Any = None

    @property
    def body(self) -> bytes:
        """The body."""
        if self.status == 204:
            return b""
        if self.status < 400:
            return json.dumps({"data": self.data}).encode()
        params = self.data or []
        error = {"type": "x", "exception": "e", "title": "t", "error_data": {"invalid_params": params}}
        return json.dumps({"error": error}).encode()


@define(kw_only=True)
class Server:
    """Answers requests from a world.

    Attributes:
        world: the records.
        odd_times, odd_style: the part of the records whose time of change cannot be read, or is written as elsewhere,
            and how they show it.
        page_cap: the most records of a page.
        ignores_sort: whether orders that are asked for are ignored.
        numbers_from: the time from which ids that are numbers are sent as numbers, and no longer as texts.
        lags: whether pages lack some records that the total counts.
        is_hollow: whether pages are empty, whatever their totals say.
        habits: what it does to what it is sent; of `HABITS`.
        shows: the time whose state reads show; `None` for now.
        is_emptied: whether lists show no record, and count none: a right is missing, or the server is starting.
    """

    world: World
    page_cap: int = 1000
    ignores_sort: bool = False
    numbers_from: float = float("inf")
    odd_times: float = 0.0
    odd_style: str = "null"
    lags: bool = False
    is_hollow: bool = False
    is_emptied: bool = False
    habits: frozenset[str] = frozenset()
    shows: float | None = None

    def read(self, path: str, query: Query) -> tuple[Answer, Json]:
        """Answer a GET; return the answer, and what an observer of it needs."""
        family = _LISTS.get(path)
        if family is not None:
            return self._list(family, self._candidates(family, query), query)
        if path.endswith("/segment-records"):
            members = [{"customer_id": one["customer_id"]} for one in self._all("segment_records")]
            return Answer(status=200, data={"segment_records": members, "total_items": len(members)}), {}
        found = re.fullmatch(r"/customers/([^/]+)/(property-records|customer-source-records)", path)
        if found is not None:
            name = found[2].replace("-", "_")
            some = [one for one in self._all(name) if one["customer_id"] == found[1]]
            return self._list(name, some, query)
        base, _, record_id = path.rpartition("/")
        family = _LISTS.get(base, "")
        record = next((one for one in self._all(family) if one[FAMILIES[family].id_field] == record_id), None)
        if record is None:
            return Answer(status=404), {}
        return Answer(status=200, data=record), {}

    def _candidates(self, family: str, query: Query) -> list[Json]:
        """Return the records that reads show, but those that never had a value that a filter asks for."""
        for name, path in _FILTERS[family].items():
            if name in query:
                return self._all(family, self.world.had(family, path, query[name]))
        return self._all(family)

    def _all(self, family: str, ids: Sequence[str] | None = None) -> list[Json]:
        """Return the records that reads show, or some of them."""
        world = self.world
        if self.shows is None or not family:
            records = world.records.get(family, {})
            return [*records.values()] if ids is None else [records[one] for one in ids if one in records]
        shown = [world.version_at(family, one, self.shows) for one in (world.history[family] if ids is None else ids)]
        return [one for one in shown if one is not None]

    def _list(self, family: str, records: list[Json], query: Query) -> tuple[Answer, Json]:
        filters = _FILTERS.get(family, {})
        for name, values in query.items():
            path = filters.get(name)
            if path is not None:
                wanted = {normal(one) for one in values}
                records = [one for one in records if normal(at_path(one, path)) in wanted]
        for note in query.get("point_operation_note", []):
            records = [one for one in records if note in one["point_operation_note"]]
        id_field = FAMILIES[family].id_field
        order = query.get("sort_field", [""])[0]
        if order and not self.ignores_sort:
            descending = query.get("sort_direction") == ["DESC"]
            records.sort(
                key=lambda one: (str(at_path(self.shown(one, id_field), order) or ""), one[id_field]),
                reverse=descending,
            )
        is_emptied = self.is_emptied and bool(records)
        if is_emptied:
            records = []
        count = min(int(query.get("count", ["100"])[0]), self.page_cap)
        offset = int(query.get("offset", ["0"])[0])
        total = len(records)
        if self.lags:
            records = [one for one in records if Random(f"lag {one[id_field]}").random() < _UP_TO_DATE]
        page = [] if self.is_hollow else records[offset : offset + count]
        seen = {"ids": [one[id_field] for one in page], "offset": offset, "is_emptied": is_emptied}
        return Answer(
            status=200, data={family: [self.shown(one, id_field) for one in page], "total_items": total}
        ), seen

    def shown(self, record: Json, id_field: str) -> Json:
        """Return a record as lists show it."""
        shown = {name: value for name, value in record.items() if name != "property_of_customer"}
        if self.world.now() >= self.numbers_from and shown[id_field].isdecimal():
            shown[id_field] = int(shown[id_field])
        if self.odd_times and "last_change" in shown and Random(record[id_field]).random() < self.odd_times:
            text = shown["last_change"]
            styles = {"null": None, "zero": "0000-00-00 00:00:00", "text": "", "iso": f"{text.replace(' ', 'T')}+01:00"}
            shown["last_change"] = styles[self.odd_style]
        return shown

    def write(self, entry: Entry) -> Answer:
        """Do a write."""
        try:
            self._refuse_duplicate(entry)
            answer = self._write(entry)
            entry.status = answer.status
        except RefusedError as error:
            name, reason, *status = error.args
            entry.status = status[0] if status else 400
            answer = Answer(status=entry.status, data=[{"name": name, "reason": reason}])
        if entry.status < 400:
            entry.applied_at = self.world.now()
        return answer

    def _write(self, entry: Entry) -> Answer:
        path, body, world = entry.path, self._kept(entry.body), self.world
        parts = path.strip("/").split("/")
        _check_number(body)
        if path.startswith(("/purchases/actions/", "/points/actions/")):
            return self._sell(body, entry)
        if parts[0] == "segments":
            if body["customer_id"] not in world.records["customers"]:
                raise RefusedError("customer_id", "not_found")
            world.change_member(body["customer_id"], is_one=path.endswith("/add-customer"), by=entry.by, entry=entry)
            return Answer(status=204)
        if path.endswith("/batch"):
            return self._batch(parts[0].replace("-", "_"), body, entry)
        if len(parts) >= 3 and parts[0] == "customers":
            return self._part(parts, body, entry)
        family = parts[0].replace("-", "_")
        record: Json = body[FAMILIES[family].one]
        _check(record, "")
        if entry.verb == "PUT":
            return self._replace(family, parts[1], record, entry)
        if family == "customers":
            # What the API makes up, and what no row names.
            person = {**record["personal_information"], "salutation": "made up", "nickname": None}
            record = {**record, "personal_information": person, "state": 1, "loyalty": {"points": 0}}
        record_id = world.put(family, record, by=entry.by, entry=entry)
        source = body.get("customer_source")
        if family == "customers" and source and source.get("external_id"):
            world.put("customer_source_records", {"customer_id": record_id, **source}, by=entry.by, entry=entry)
        return Answer(status=201, data={FAMILIES[family].id_field: record_id})

    def _kept(self, value: Any, name: str = "") -> Any:
        """Return what is kept of a value that was sent."""
        if isinstance(value, dict):
            return {key: self._kept(one, key) for key, one in value.items()}
        if isinstance(value, list):
            return [self._kept(one) for one in value]
        if isinstance(value, float) and "rounds" in self.habits:
            return round(value, 2)
        if isinstance(value, str) and "trims" in self.habits:
            value = value.strip()
        return value.lower() if isinstance(value, str) and name in _KEYS and "folds" in self.habits else value

    def _refuse_duplicate(self, entry: Entry) -> None:
        if "refuses" not in self.habits or entry.verb != "POST" or entry.path.endswith("/batch"):
            return
        for family in ("customers", "cards", "purchases"):
            for path in FAMILIES[family].keys:
                key = normal(at_path(_sent(family, entry), path))
                if key and self._with_key(family, path, key):
                    raise RefusedError(path, "not_unique")

    def _sell(self, body: Json, entry: Entry) -> Answer:
        """Record a bill, or an operation on points; there may be one already."""
        customer = body["customer_id"]
        if entry.path.endswith("send-purchase"):
            bill = {"external_purchase_id": body["bill"]["bill_id"], "total_price": body["bill"]["total_price"]}
            bill |= {"store_id": body["store_id"], "customer_id": customer}
            return Answer(status=201, data={"purchase_id": self.world.put("purchases", bill, by=entry.by, entry=entry)})
        done = {"customer_id": customer, "point_amount": body["amount"], "point_operation_note": body["note"]}
        done["note_of_customer"] = f"{customer}/{body['note']}"
        return Answer(status=201, data={"point_id": self.world.put("point_history", done, by=entry.by, entry=entry)})

    def _replace(self, family: str, record_id: str, record: Json, entry: Entry) -> Answer:
        old = self.world.records[family].get(record_id)
        if old is None:
            raise RefusedError(FAMILIES[family].id_field, "not_found", 404)
        kept = {name: old[name] for name in ("state", "loyalty") if name in old and family == "customers"}
        if family == "purchases":  # a PUT of it writes the customer alone
            kept = {name: value for name, value in old.items() if name not in record}
        self.world.put(family, {**record, FAMILIES[family].id_field: record_id, **kept}, by=entry.by, entry=entry)
        return Answer(status=204)

    def _part(self, parts: list[str], body: Json, entry: Entry) -> Answer:
        customer_id, family = parts[1], parts[2].replace("-", "_")
        if customer_id not in self.world.records["customers"]:
            raise RefusedError("customer_id", "not_found", 404)
        record: Json = {**body[FAMILIES[family].one], "customer_id": customer_id}
        if family == "property_records":
            _check({"name": record.get("property_value")}, "")
            record["property_of_customer"] = f"{customer_id}/{record['property_id']}"
        if entry.verb == "PUT":
            return self._replace(family, parts[3], record, entry)
        record_id = self.world.put(family, record, by=entry.by, entry=entry)
        return Answer(status=201, data={FAMILIES[family].id_field: record_id})

    def _batch(self, family: str, body: Json, entry: Entry) -> Answer:
        """Write all records of a batch or none; a record that is known by its key is replaced."""
        records: list[Json] = body[family]
        for number, record in enumerate(records):
            _check(record, f"{family}[{number}].")
        for record in records:
            known = self._known(family, record)
            self.world.put(family, {**known, **record}, by=entry.by, entry=entry)
        return Answer(status=204)

    def _known(self, family: str, record: Json) -> Json:
        for path in FAMILIES[family].keys:
            value = normal(record.get(path))
            if value and (known := self._with_key(family, path, value)):
                return known[0]
        return {}

    def _with_key(self, family: str, path: str, key: str) -> list[Json]:
        records = self.world.records[family]
        candidates = [records[one] for one in self.world.had(family, path, [key]) if one in records]
        return [one for one in candidates if normal(at_path(one, path)) == key]


def _sent(family: str, entry: Entry) -> Json:
    """Return the record of a family that a request makes; empty if it makes none."""
    if family == "purchases" and entry.path.endswith("/send-purchase"):
        return {"external_purchase_id": entry.body["bill"]["bill_id"]}
    return entry.body.get(FAMILIES[family].one) or {}


def _check_number(body: Json) -> None:
    """Refuse a card whose number says with which status, such as `c1!409`."""
    number = str(at_path(body, "card.card_number") or "")
    if "!" in number:
        raise RefusedError("card_number", "not_allowed_value", int(number.rpartition("!")[2]))


def _check(record: Json, prefix: str) -> None:
    name = str(record.get("name") or at_path(record, "personal_information.last_name") or "")
    if FAILS in name:
        raise RefusedError("", "", 500)
    if REFUSED in name:
        raise RefusedError(f"{prefix}name", "not_allowed_value")
