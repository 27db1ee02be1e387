"""Authorize a request: compare its token with the access that its operation asks for."""

from __future__ import annotations

from carecloud_async.sandbox.api.calls import Access, Interface, Operation
from carecloud_async.sandbox.api.problems import forbidden, unauthorized, wrong_interface
from carecloud_async.sandbox.state.device_tokens import DeviceRecord
from carecloud_async.sandbox.state.sandbox_state import SandboxState

_TITLES = {Interface.ENTERPRISE: "Enterprise", Interface.CUSTOMER: "Customer"}


def check_interface(operation: Operation, interface: Interface) -> None:
    """Refuse an operation that this interface does not have.

    Raises:
        RefusalError: 403 `interface_not_allowed_exception`.
    """
    if interface not in operation.interfaces:
        resource = operation.template.split("/")[1]
        raise wrong_interface(resource=resource, interface=_TITLES[interface])


def admit(
    state: SandboxState, operation: Operation, *, interface: Interface, token: str | None, path: dict[str, str]
) -> DeviceRecord | None:
    """Check the token of a request.

    Args:
        state: The state, which knows the valid tokens.
        operation: The operation.
        interface: The interface.
        token: The bearer token that came along.
        path: Values of the path template.

    Returns:
        The device, on the customer interface.

    Raises:
        RefusalError: 401 for a token that is missing, expired or revoked, 403 for one that is good but not for this.
    """
    if operation.access is Access.OPEN:
        return None
    if token is None:
        raise unauthorized("The bearer token is missing")
    if interface is Interface.ENTERPRISE:
        if state.user_tokens.find(token) is None:
            raise unauthorized("The bearer token is not valid")
        return None
    device = state.device_tokens.find(token)
    if device is None:
        raise unauthorized("The bearer token is not valid")
    if operation.access is Access.OWN_TOKEN and path["token_id"] != token:
        raise forbidden("The token in the path is not the token of the request")
    if operation.access is Access.CUSTOMER and device.customer_id is None:
        detail = "No customer is logged in on this token"
        raise forbidden(detail) if state.settings.unbound_status == 403 else unauthorized(detail)
    return device
