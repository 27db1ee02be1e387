"""The arguments of a call: its body, or the query of a GET, checked against what the API declares."""

from __future__ import annotations

from collections.abc import Set

from carecloud_async.sandbox.api.body_checks import check_body, wrapper_of
from carecloud_async.sandbox.api.calls import Call
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.facts import field_names
from carecloud_async.sandbox.state.sandbox_state import SandboxState


def arguments(state: SandboxState, call: Call) -> JsonObject:
    """Return the body, or the query of a GET.

    An id that the path or the login says may be left out of the body.

    Raises:
        RefusalError: 400 that names the fields at fault, or a customer that does not exist or is not the caller.
    """
    own = {} if call.customer_id is None else {"customer_id": call.customer_id}
    if call.api.method == "GET":
        found = _with_own(dict(call.query.pairs), own, {field.name for field in call.api.query})
        missing = [field.name for field in call.api.query if field.required and not found.get(field.name)]
        if missing:
            raise bad_request(*(InvalidParam(name=name, reason="required") for name in missing))
    else:
        sent = call.json() if call.body or call.api.body else {}
        found = _with_own(sent, own, {field.name for field in call.api.body})
        wrapper = wrapper_of(call.api.body)
        if wrapper is not None and isinstance(found.get(wrapper.name), dict):
            found[wrapper.name] = _with_own(found[wrapper.name], own | call.path, field_names(wrapper.item))
        check_body(call.api.body, found)
        if wrapper is not None:
            _check_customer(state, call, f"{wrapper.name}.customer_id", found[wrapper.name])
    _check_customer(state, call, "customer_id", found)
    return found


def _with_own(record: JsonObject, own: dict[str, str], names: Set[str]) -> JsonObject:
    return {**{name: value for name, value in own.items() if name in names}, **record}


def _check_customer(state: SandboxState, call: Call, name: str, record: JsonObject) -> None:
    customer_id = record.get("customer_id")
    if not customer_id:
        return
    if call.customer_id is not None and customer_id != call.customer_id:
        raise bad_request(InvalidParam(name=name, reason="not_belong_to_logged_in_customer", value=str(customer_id)))
    if call.api.method != "GET" and customer_id not in state.customers:
        raise bad_request(InvalidParam(name=name, reason="not_found", value=str(customer_id)))
