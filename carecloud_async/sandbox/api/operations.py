"""The operations of the API: each with its handler, and the access that it needs.

What the API declares of them is in the facts. An operation without a handler of its own is served from tables.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from carecloud_async.sandbox.api import cards, customer_actions, customers, tokens, user_actions
from carecloud_async.sandbox.api.body_checks import wrapper_of
from carecloud_async.sandbox.api.calls import Access, Handler, Interface, Operation
from carecloud_async.sandbox.api.problems import forbidden, unauthorized, wrong_interface
from carecloud_async.sandbox.api.table_lists import TableList
from carecloud_async.sandbox.api.table_records import TableRecord
from carecloud_async.sandbox.state.device_tokens import DeviceRecord
from carecloud_async.sandbox.state.facts import ApiOperation, api_facts, field_names
from carecloud_async.sandbox.state.sandbox_state import SandboxState

HANDLERS: Final[dict[str, Handler]] = {
    **cards.HANDLERS,
    **customer_actions.HANDLERS,
    **customers.HANDLERS,
    **tokens.HANDLERS,
    **user_actions.HANDLERS,
}
"""Handlers by operation id."""


@cache
def api_operations() -> tuple[Operation, ...]:
    """All operations; made once in a process."""
    return tuple(
        Operation(api=api, access=_access(api), handler=HANDLERS.get(api.operation_id) or _table_handler(api))
        for api in api_facts().operations
    )


def _table_handler(api: ApiOperation) -> Handler:
    made = cache(lambda: _made(api))  # working out the tables takes a moment, which most sandboxes do not need
    return lambda state, call: made()(state, call)


def _made(api: ApiOperation) -> Handler:
    if api.key:
        return TableList(api).page
    record = TableRecord(api)
    if api.template.endswith("/batch"):
        return record.delete_batch if api.method == "DELETE" else record.batch
    if "/actions/" in api.template or (api.method == "GET" and not api.template.endswith("}")):
        return record.act
    return {"GET": record.read, "POST": record.create, "PUT": record.replace, "DELETE": record.delete}[api.method]


def _access(api: ApiOperation) -> Access:
    if not api.authorized:
        return Access.OPEN
    if api.template.startswith("/tokens/"):
        return Access.OWN_TOKEN
    wrapper = wrapper_of(api.body)
    names = {field.name for field in (*api.query, *api.body)} | set(api.path_names)
    names |= field_names(api.result) | field_names("" if wrapper is None else wrapper.item)
    needs_customer = "customer_id" in names and api.operation_id != "postCustomer"
    return Access.CUSTOMER if needs_customer else Access.DEVICE


def admit(
    state: SandboxState, operation: Operation, *, interface: Interface, token: str | None, path: dict[str, str]
) -> DeviceRecord | None:
    """Check that a request may call an operation.

    Args:
        state: The state, which knows the valid tokens.
        operation: The operation.
        interface: The interface.
        token: The bearer token that came along.
        path: Values of the path template.

    Returns:
        The device, on the customer interface.

    Raises:
        RefusalError: 403 for an operation that this interface does not have; 401 for a token that is missing, expired
            or revoked, 403 for one that is good but not for this.
    """
    only = "customer" if operation.access is Access.OWN_TOKEN else operation.api.interface
    if only not in ("both", interface.name.lower()):
        raise wrong_interface(resource=operation.api.template.split("/")[1], interface=interface.name.title())
    if operation.access is Access.OPEN:
        return None
    if token is None:
        raise unauthorized("The bearer token is missing")
    found = (state.user_tokens if interface is Interface.ENTERPRISE else state.device_tokens).find(token)
    if found is None:
        raise unauthorized("The bearer token is not valid")
    if not isinstance(found, DeviceRecord):
        return None
    if operation.access is Access.OWN_TOKEN and path["token_id"] != token:
        raise forbidden("The token in the path is not the token of the request")
    if operation.access is Access.CUSTOMER and found.customer_id is None:
        detail = "No customer is logged in on this token"
        raise forbidden(detail) if state.settings.unbound_status == 403 else unauthorized(detail)
    return found
