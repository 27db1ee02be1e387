"""The operations of a path, their handlers, and the check that a caller may use them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import attrs

from carecloud_async.sandbox.api import (
    actions,
    balances,
    batches,
    cards,
    customer_actions,
    customers,
    events,
    lists,
    logins,
    purchases,
    records,
    segments,
)
from carecloud_async.sandbox.api.calls import Handler, Interface
from carecloud_async.sandbox.api.problems import forbidden, unauthorized, wrong_interface
from carecloud_async.sandbox.state.facts import ApiOperation, api_facts, field_names
from carecloud_async.sandbox.state.sandbox_state import SandboxState
from carecloud_async.sandbox.state.tokens import DeviceRecord

_PATH: Final = re.compile(r"/webservice/rest-api/(enterprise|customer)-interface/v1\.0/(.*)", re.DOTALL)
HANDLERS: Final[dict[str, Handler]] = {
    "POST /cards/actions/assign-free-card": cards.assign_free_card,
    "POST /cards/actions/validate-free-card": cards.validate_free_card,
    "POST /credits/actions/deposit-credits": balances.books("credit", "Credits added", sign=1),
    "POST /credits/actions/reduce-credits": balances.books("credit", "Credits reduced", sign=-1),
    "POST /credits/actions/transfer-credits": balances.transfers("credit", "Credits transferred"),
    "POST /customers": customers.create,
    "PUT /customers/{customer_id}": customers.replace,
    "POST /customers/actions/auth-token": customer_actions.issue_auth_token,
    "POST /customers/actions/check-registration-ability": customer_actions.check_registration_ability,
    "GET /customers/actions/search-customers": customer_actions.search_customers,
    "POST /customers/actions/validate-customer-data": customer_actions.validate_customer_data,
    "POST /customers/actions/verify-auth-token": logins.identifies(logins.customer_of_token),
    "POST /customers/actions/verify-credentials": logins.identifies(logins.customer_of_login),
    "POST /customers/actions/verify-social-network-credentials": logins.identifies(logins.customer_of_social),
    "GET /customers/{customer_id}/segment-records": segments.segments_of_customer,
    "POST /events": events.create,
    "POST /points/actions/assign-points": balances.books("point", "Points added", sign=1),
    "POST /points/actions/reduce-points": balances.books("point", "Points reduced", sign=-1),
    "POST /points/actions/synchronize-points": balances.synchronize_points,
    "POST /points/actions/transfer-points": balances.transfers("point", "Points transferred"),
    "POST /purchases/actions/accept-payment": purchases.accept_payment,
    "POST /purchases/actions/assign-customer": purchases.assign_customer,
    "POST /purchases/actions/send-purchase": purchases.send_purchase,
    "POST /segments/{segment_id}/actions/add-customer": segments.add_customer,
    "POST /segments/{segment_id}/actions/remove-customer": segments.remove_customer,
    "POST /tokens": logins.create_token,
    "PUT /tokens/{token_id}": logins.change_token,
    "GET /tokens/{token_id}/actions/auth-token": logins.authentication_token,
    "POST /tokens/{token_id}/actions/authentication-token-login": logins.identifies(logins.customer_of_token),
    "POST /tokens/{token_id}/actions/login": logins.identifies(logins.customer_of_login),
    "POST /tokens/{token_id}/actions/login-test-customer": logins.identifies(logins.test_customer),
    "POST /tokens/{token_id}/actions/logout": logins.unbind_token,
    "POST /tokens/{token_id}/actions/send-password-setup-email": logins.send_password_email,
    "POST /tokens/{token_id}/actions/social-network-login": logins.identifies(logins.customer_of_social),
    "POST /users/actions/login": logins.log_user_in,
    "POST /users/actions/logout": logins.log_user_out,
    "POST /users/actions/sso-login": logins.log_user_in_by_sso,
    "POST /users/actions/verify-auth-token": logins.verify_auth_token,
}
"""The operations that do more than read and write a table."""


@attrs.frozen(kw_only=True)
class Route:
    """What a path leads to.

    Attributes:
        interface: The interface, or `None` if the path is not the API's.
        template: The path template; where no operation has the path, its first segment, since the others may be secret.
        values: Values of the path template.
        by_method: The operations; none where no operation has the path.
    """

    interface: Interface | None
    template: str
    values: dict[str, str] = attrs.field(factory=dict, repr=False)
    by_method: Mapping[str, ApiOperation] = attrs.field(factory=dict, repr=False)


def route_of(path: str) -> Route:
    """Find the operations of a path, such as `/webservice/rest-api/enterprise-interface/v1.0/customers`."""
    matched = _PATH.fullmatch(path)
    interface: Any = matched[1] if matched else None
    resource = matched[2] if matched else path
    parts = resource.split("/")
    for template, by_method in _templates().get((parts[0], len(parts)), ()) if matched else ():
        pairs = list(zip(template.split("/")[1:], parts, strict=True))
        if all(part != "" if name.startswith("{") else name == part for name, part in pairs):
            values = {name[1:-1]: part for name, part in pairs if name.startswith("{")}
            return Route(interface=interface, template=template, values=values, by_method=by_method)
    first, _, rest = resource.strip("/").partition("/")
    return Route(interface=interface, template=f"/{first}/…" if rest else f"/{first}")


@cache
def _templates() -> dict[tuple[str, int], list[tuple[str, dict[str, ApiOperation]]]]:
    """The path templates and their operations, by first segment and number of segments."""
    operations: dict[str, dict[str, ApiOperation]] = defaultdict(dict)
    for api in api_facts().operations:
        operations[api.template][api.method] = api
    found = defaultdict(list)
    # Templates with fewer placeholders come first: `/customers/actions` is never a customer id.
    for template in sorted(operations, key=lambda one: one.count("{")):
        found[template.split("/")[1], template.count("/")].append((template, operations[template]))
    return found


def handler_of(api: ApiOperation) -> Handler:
    """The function that does the work of an operation."""
    own = HANDLERS.get(api.name)
    if own is not None:
        return own
    if api.key:
        return lists.page
    if api.template.endswith("/batch"):
        return batches.delete if api.method == "DELETE" else batches.write
    if "/actions/" in api.template or (api.method == "GET" and not api.template.endswith("}")):
        return actions.act
    return records.HANDLERS[api.method]


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
    """Whether a customer must be logged in on a device's token: if the request or the answer has a `customer_id`."""
    fields = {field.name for field in (*api.query, *api.body)}
    inner = field_names(api.result) | (field_names(api.record_field.item) if api.record_field else frozenset())
    return "customer_id" in fields | inner | {*api.path_names} and api.operation_id != "postCustomer"
