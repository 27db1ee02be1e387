"""The operations of a path, their handlers, and the check that a caller may use them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import attrs

from carecloud_async.sandbox.api import actions, customers, lists, logins, records
from carecloud_async.sandbox.api.actions import Action
from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Call, Handler, Interface, RefusalError, forbidden, unauthorized
from carecloud_async.sandbox.state.facts import ApiOperation, api_facts, field_names
from carecloud_async.sandbox.state.sandbox_state import SandboxState, Token

_PATH: Final = re.compile(r"/webservice/rest-api/(enterprise|customer)-interface/v1\.0/(.*)", re.DOTALL)
#: The operations that read and write a table in a way of their own.
HANDLERS: Final[dict[str, Handler]] = {
    "POST /customers": customers.create,
    "PUT /customers/{customer_id}": customers.replace,
    "GET /customers/{customer_id}/segment-records": actions.segments_of_customer,
}
#: The operations that do something else; an action that is not here answers made-up data, or creates a record.
ACTIONS: Final[dict[str, Action]] = {
    "POST /cards/actions/assign-free-card": actions.assign_free_card,
    "POST /cards/actions/validate-free-card": actions.validate_free_card,
    "POST /credits/actions/deposit-credits": actions.books("credit", "Credits added", sign=1),
    "POST /credits/actions/reduce-credits": actions.books("credit", "Credits reduced", sign=-1),
    "POST /credits/actions/transfer-credits": actions.transfers("credit", "Credits transferred"),
    "POST /customers/actions/auth-token": logins.issue_auth_token,
    "POST /customers/actions/check-registration-ability": customers.check_registration_ability,
    "GET /customers/actions/search-customers": customers.search_customers,
    "POST /customers/actions/validate-customer-data": customers.validate_customer_data,
    "POST /customers/actions/verify-auth-token": logins.identifies(logins.customer_of_token),
    "POST /customers/actions/verify-credentials": logins.identifies(logins.customer_of_login),
    "POST /customers/actions/verify-social-network-credentials": logins.identifies(logins.customer_of_social),
    "POST /events": actions.create_event,
    "POST /points/actions/assign-points": actions.books("point", "Points added", sign=1),
    "POST /points/actions/reduce-points": actions.books("point", "Points reduced", sign=-1),
    "POST /points/actions/transfer-points": actions.transfers("point", "Points transferred"),
    "POST /purchases/actions/accept-payment": actions.accept_payment,
    "POST /purchases/actions/assign-customer": actions.assign_customer,
    "POST /purchases/actions/send-purchase": actions.send_purchase,
    "POST /segments/{segment_id}/actions/add-customer": actions.add_customer,
    "POST /segments/{segment_id}/actions/remove-customer": actions.remove_customer,
    "POST /tokens": logins.create_token,
    "PUT /tokens/{token_id}": lambda *_: None,  # no answer shows the setup of a device
    "GET /tokens/{token_id}/actions/auth-token": logins.own_auth_token,
    "POST /tokens/{token_id}/actions/authentication-token-login": logins.identifies(logins.customer_of_token),
    "POST /tokens/{token_id}/actions/login": logins.identifies(logins.customer_of_login),
    "POST /tokens/{token_id}/actions/logout": logins.unbind_token,
    "POST /tokens/{token_id}/actions/social-network-login": logins.identifies(logins.customer_of_social),
    "POST /users/actions/login": logins.log_user_in,
    "POST /users/actions/logout": logins.log_user_out,
    "POST /users/actions/sso-login": logins.log_user_in,
    "POST /users/actions/verify-auth-token": logins.verify_auth_token,
}


@attrs.frozen(kw_only=True)
class Route:
    """What a path leads to.

    Attributes:
        interface: the interface, or `None` if the path is not the API's.
        template: the path template; where no operation has the path, its first segment, since the others may be secret.
        values: values of the path template.
        by_method: the operations; none where no operation has the path.
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
    templates = defaultdict(list)
    # Templates with fewer placeholders come first: `/customers/actions` is never a customer id.
    for template in sorted(operations, key=lambda template: template.count("{")):
        templates[template.split("/")[1], template.count("/")].append((template, operations[template]))
    return templates


def handler_of(api: ApiOperation) -> Handler:
    """The function that does the work of an operation."""
    if api.name in HANDLERS:
        return HANDLERS[api.name]
    if api.key:
        return lists.page
    if api.template.endswith("/batch"):
        return records.delete_batch if api.method == "DELETE" else records.write_batch
    only_answers = "/actions/" in api.template or (api.method == "GET" and not api.template.endswith("}"))
    return _act if only_answers or api.name in ACTIONS else records.HANDLERS[api.method]


def _act(call: Call) -> Any:
    records.check_path(call)
    body = arguments(call)
    action = ACTIONS.get(call.api.name)
    data = None if action is None else action(call, body)
    if data is None and call.api.status != 204:
        return actions.answer(call, body)
    return data


def admit(
    state: SandboxState, api: ApiOperation, *, interface: Interface, token: str | None, path: dict[str, str]
) -> Token | None:
    """Check that a request may call an operation.

    Args:
        state: the state, which knows the valid tokens.
        api: the operation.
        interface: the interface.
        token: the bearer token that came along.
        path: values of the path template.

    Returns:
        The device, on the customer interface.

    Raises:
        RefusalError: 403 for an operation that this interface does not have; 401 for a token that is missing, expired
            or revoked, 403 for a valid one that does not allow this.
    """
    needs_own_token = api.authorized and api.template.startswith("/tokens/")
    if ("customer" if needs_own_token else api.interface) not in ("both", interface):
        resource, name = api.template.split("/")[1], interface.title()
        error = {
            "type": "interface_not_allowed_exception",
            "title": f"{name} API is not allowed for this resource",
            "detail": f'Resource name "{resource}" is not allowed in {name} API',
            "error_data": {"invalid_resource_name": resource, "interface": name},
        }
        raise RefusalError(403, error)
    if not api.authorized:
        return None
    if token is None:
        raise unauthorized("The bearer token is missing")
    owner = (state.user_tokens if interface == "enterprise" else state.device_tokens).find(token)
    if owner is None:
        raise unauthorized("The bearer token is not valid")
    if interface == "enterprise":
        return None
    if needs_own_token:
        if path["token_id"] != token:
            raise forbidden("The token in the path is not the token of the request")
    elif owner.customer_id is None and _needs_customer(api):
        raise unauthorized("No customer is logged in on this token")
    return owner


@cache
def _needs_customer(api: ApiOperation) -> bool:
    """Whether a customer must be logged in on a device's token: if the request or the answer has a `customer_id`."""
    fields = {field.name for field in (*api.query, *api.body)}
    inner = field_names(api.result) | (field_names(api.record_field.item) if api.record_field else frozenset())
    return "customer_id" in fields | inner | {*api.path_names} and api.operation_id != "postCustomer"
