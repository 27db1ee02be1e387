"""The handler of each operation, and who may call it. What the API declares of an operation is in the facts."""

from __future__ import annotations

from functools import cache
from typing import Final

from carecloud_async.sandbox.api import (
    balances,
    cards,
    customer_actions,
    customers,
    events,
    purchases,
    segments,
    table_actions,
    table_batches,
    table_lists,
    table_records,
    tokens,
    user_actions,
)
from carecloud_async.sandbox.api.calls import Handler, Interface
from carecloud_async.sandbox.api.problems import forbidden, unauthorized, wrong_interface
from carecloud_async.sandbox.state.device_tokens import DeviceRecord
from carecloud_async.sandbox.state.facts import ApiOperation, field_names
from carecloud_async.sandbox.state.sandbox_state import SandboxState

HANDLERS: Final[dict[str, Handler]] = {
    **balances.HANDLERS,
    **cards.HANDLERS,
    **customer_actions.HANDLERS,
    **customers.HANDLERS,
    **events.HANDLERS,
    **purchases.HANDLERS,
    **segments.HANDLERS,
    **tokens.HANDLERS,
    **user_actions.HANDLERS,
}
"""Handlers by operation id. All other operations are served from tables."""


def handler_of(api: ApiOperation) -> Handler:
    """The function that does the work of an operation."""
    own = HANDLERS.get(api.operation_id)
    if own is not None:
        return own
    if api.key:
        return table_lists.page
    if api.template.endswith("/batch"):
        return table_batches.delete if api.method == "DELETE" else table_batches.write
    if "/actions/" in api.template or (api.method == "GET" and not api.template.endswith("}")):
        return table_actions.act
    return table_records.HANDLERS[api.method]


def admit(
    state: SandboxState, api: ApiOperation, *, interface: Interface, token: str | None, path: dict[str, str]
) -> DeviceRecord | None:
    """Check that a request may call an operation.

    Args:
        state: The state, which knows the valid tokens.
        api: The operation.
        interface: The interface.
        token: The bearer token that came along.
        path: Values of the path template.

    Returns:
        The device, on the customer interface.

    Raises:
        RefusalError: 403 for an operation that this interface does not have; 401 for a token that is missing, expired
            or revoked, 403 for a valid one that does not allow this.
    """
    needs_own_token = api.authorized and api.template.startswith("/tokens/")
    if ("customer" if needs_own_token else api.interface) not in ("both", interface):
        raise wrong_interface(resource=api.template.split("/")[1], interface=interface.title())
    if not api.authorized:
        return None
    if token is None:
        raise unauthorized("The bearer token is missing")
    found = (state.user_tokens if interface == "enterprise" else state.device_tokens).find(token)
    if found is None:
        raise unauthorized("The bearer token is not valid")
    if not isinstance(found, DeviceRecord):
        return None
    if needs_own_token:
        if path["token_id"] != token:
            raise forbidden("The token in the path is not the token of the request")
    elif found.customer_id is None and _needs_customer(api):
        detail = "No customer is logged in on this token"
        raise forbidden(detail) if state.settings.unbound_status == 403 else unauthorized(detail)
    return found


@cache
def _needs_customer(api: ApiOperation) -> bool:
    """Whether a customer must be logged in on a device's token: where a request or its answer says whose it is."""
    fields = {field.name for field in (*api.query, *api.body)}
    inner = field_names(api.result) | (field_names(api.record_field.item) if api.record_field else frozenset())
    return "customer_id" in fields | inner | {*api.path_names} and api.operation_id != "postCustomer"
