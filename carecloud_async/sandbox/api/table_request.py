"""The common part of all operations on tables: records in the path, arguments, ownership."""

from __future__ import annotations

from typing import Any

from carecloud_async.sandbox.api.calls import Call, Interface
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request, forbidden, not_found
from carecloud_async.sandbox.api.table_input import check_body, wrapper_of
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.facts import ApiOperation
from carecloud_async.sandbox.state.plans import CUSTOMERS, Plans
from carecloud_async.sandbox.state.sandbox_state import SandboxState
from carecloud_async.sandbox.state.tables import Table


class TableHandler:
    """Base of the handlers of one operation.

    Args:
        api: Its facts.
        plans: The tables.
    """

    def __init__(self, api: ApiOperation, plans: Plans) -> None:
        self._api = api
        self._plans = plans
        segments = api.template.split("/")
        self._path_records = [
            (segment[1:-1], "/".join(segments[:place]))
            for place, segment in enumerate(segments)
            if segment.startswith("{")
        ]

    def check_path(self, state: SandboxState, call: Call, *, but_last: bool = False) -> None:
        """Check that the records named in the path exist and are the caller's.

        Args:
            state: The state.
            call: The request.
            but_last: Leave the last one to the caller.

        Raises:
            RefusalError: 404 for a record that does not exist, 403 for another customer's.
        """
        own = own_customer(call)
        for name, collection in self._path_records[: -1 if but_last else None]:
            record_id = call.path[name]
            if collection == CUSTOMERS and own is not None and record_id != own:
                raise forbidden("The customer does not belong to the logged in customer")
            if not state.tables.exists(self._plans.collection(collection), record_id):
                raise not_found(resource=collection.rpartition("/")[2], resource_id=record_id)

    def table(self, state: SandboxState, call: Call, collection: str) -> Table:
        """The table of a collection's path; if there are several, that of the parent in the path."""
        plan = self._plans.lists[collection]
        name = plan.parent_name if plan.scope == "own" else None
        return state.tables.table(plan.table, None if name is None else call.path[name])

    def arguments(self, state: SandboxState, call: Call) -> JsonObject:
        """The body, or the query of a GET, checked; on the customer interface `customer_id` may be left out.

        Raises:
            RefusalError: 400 that names the missing and the invalid ones.
        """
        own = own_customer(call)
        if self._api.method == "GET":
            found: JsonObject = dict(call.query.pairs)
            fields = self._api.query
        else:
            found = dict(call.json()) if call.body or self._api.body else {}
            fields = self._api.body
        if own is not None and any(field.name == "customer_id" for field in fields):
            found.setdefault("customer_id", own)
        if self._api.method != "GET":
            # The id in the path need not be said again.
            self._complete(found, call, own)
            check_body(self._plans, fields, found)
        else:
            missing = [field.name for field in fields if field.required and not found.get(field.name)]
            if missing:
                raise bad_request(*(InvalidParam(name=name, reason="required") for name in missing))
        self._check_customer(state, call, found)
        return found

    def _complete(self, body: JsonObject, call: Call, own: str | None) -> None:
        known = {**({} if own is None else {"customer_id": own}), **call.path}
        wrapper = wrapper_of(self._plans, self._api.body)
        if wrapper is None:
            return
        record = body.get(wrapper.name)
        if isinstance(record, dict):
            names = {field.name for field in self._plans.fields(wrapper.item)}
            missing = {name: value for name, value in known.items() if name in names and name not in record}
            body[wrapper.name] = {**record, **missing}

    def _check_customer(self, state: SandboxState, call: Call, found: JsonObject) -> None:
        own = own_customer(call)
        places: list[tuple[str, Any]] = [("customer_id", found.get("customer_id"))]
        wrapper = wrapper_of(self._plans, self._api.body)
        if wrapper is not None:
            record = found.get(wrapper.name)
            inner = record.get("customer_id") if isinstance(record, dict) else None
            places.append((f"{wrapper.name}.customer_id", inner))
        for name, customer_id in places:
            if not customer_id:
                continue
            if own is not None and customer_id != own:
                reason = "not_belong_to_logged_in_customer"
            elif self._api.method != "GET" and customer_id not in state.customers:
                reason = "not_found"
            else:
                continue
            raise bad_request(InvalidParam(name=name, reason=reason, value=str(customer_id)))


def own_customer(call: Call) -> str | None:
    """The logged-in customer on the customer interface; `None` where a caller sees all customers."""
    if call.interface is Interface.ENTERPRISE or call.device is None:
        return None
    return call.device.customer_id
