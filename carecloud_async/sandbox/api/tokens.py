"""The operations on device tokens: create, change, and log a customer in and out on one."""

from __future__ import annotations

from typing import Final

from carecloud_async.sandbox.api.answer import Answer, data_answer, no_content
from carecloud_async.sandbox.api.calls import (
    Access,
    Call,
    Handler,
    Interface,
    Operation,
    required_object,
    required_text,
)
from carecloud_async.sandbox.api.customer_input import checked_social
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request, refused_login, unauthorized
from carecloud_async.sandbox.constants import CUSTOMER_APPLICATION_ID, OTHER_CUSTOMER_APPLICATION_ID
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.device_tokens import Handover
from carecloud_async.sandbox.state.sandbox_state import HANDOVER_LIFETIME, SandboxState

ONLY_CUSTOMER: Final = frozenset({Interface.CUSTOMER})
APPLICATION_IDS: Final = frozenset({CUSTOMER_APPLICATION_ID, OTHER_CUSTOMER_APPLICATION_ID})
_TOKEN: Final = "/tokens/{token_id}"  # noqa: S105 - a path
_ALPHANUMERIC: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_NUMERIC: Final = "0123456789"


async def create(state: SandboxState, call: Call) -> Answer:
    """`POST /tokens`: a new token for a device kills its older one."""
    body = call.json()
    device = required_object(body, "device")
    setup = _checked_setup(body)
    (application,) = required_text(body, "external_application_id")
    required_text(device, "device_id", "device_system", "device_name", "device_type")
    known_application(application, name="external_application_id")
    token_id = state.device_tokens.create(
        application_id=application, device=device, setup=setup, push_token=body.get("push_token")
    )
    return data_answer({"token_id": token_id}, status=201, pretty=state.settings.pretty)


async def change(state: SandboxState, call: Call) -> Answer:
    """`PUT /tokens/{token_id}`."""
    body = call.json()
    setup = _checked_setup(body)
    state.device_tokens.change_setup(call.own_device().token_id, setup=setup, push_token=body.get("push_token"))
    return no_content()


async def login(state: SandboxState, call: Call) -> Answer:
    """`POST /tokens/{token_id}/actions/login`: by e-mail, phone or card."""
    kind, value, password = required_text(call.json(), "login_type", "login_value", "password")
    candidates = LOOK_UPS.get(kind)
    if candidates is None:
        raise bad_request(InvalidParam(name="login_type", reason="not_allowed_value", value=kind))
    for slot in candidates(state, value):
        if state.customers.account_at(slot).password == password:
            return _logged_in(state, call, state.customers.id_of(slot))
    raise refused_login(state.settings.login_refusal or 401)


async def social_login(state: SandboxState, call: Call) -> Answer:
    """`POST /tokens/{token_id}/actions/social-network-login`."""
    social = checked_social(call.json())
    if social is None:
        raise bad_request(InvalidParam(name="social_network_credentials", reason="required"))
    slot = state.customers.by_social(*social)
    if slot is None:
        raise refused_login(state.settings.login_refusal or 401)
    return _logged_in(state, call, state.customers.id_of(slot))


async def authentication_token(state: SandboxState, call: Call) -> Answer:
    """`GET /tokens/{token_id}/actions/auth-token`: a token that takes the customer to another application."""
    customer_id = call.own_device().customer_id
    if customer_id is None:
        raise unauthorized("No customer is logged in on this token")
    application = call.query.one("external_application_id")
    if not application:
        raise bad_request(InvalidParam(name="external_application_id", reason="required"))
    known_application(application, name="external_application_id")
    kind = call.query.one("token_type") or "1"
    return new_handover(state, kind=kind, application_id=application, customer_id=customer_id)


def new_handover(state: SandboxState, *, kind: str, application_id: str, customer_id: str) -> Answer:
    """Make an authentication token and answer it.

    Args:
        state: The state.
        kind: `1` for letters and digits, `2` for digits alone.
        application_id: The application that the customer goes to.
        customer_id: The customer.

    Raises:
        RefusalError: 400 for another kind.
    """
    letters = {"1": _ALPHANUMERIC, "2": _NUMERIC}.get(kind)
    if letters is None:
        raise bad_request(InvalidParam(name="token_type", reason="not_allowed_value"))
    handover = Handover(
        value="".join(state.random.choice(letters) for _ in range(6)),
        request_id=state.hex(72),
        application_id=application_id,
        customer_id=customer_id,
        ends=state.clock.now() + HANDOVER_LIFETIME,
    )
    state.device_tokens.hand_over(handover)
    data = {
        "authentication_token": handover.value,
        "token_request_id": handover.request_id,
        "valid_to": state.local(handover.ends),
    }
    return data_answer(data, pretty=state.settings.pretty)


async def authentication_token_login(state: SandboxState, call: Call) -> Answer:
    """`POST /tokens/{token_id}/actions/authentication-token-login`: uses such a token up."""
    application, token, request_id = required_text(call.json(), "application_id", "token", "token_request_id")
    customer_id = state.device_tokens.redeem(
        token, request_id=request_id, application_id=application, now=state.clock.now()
    )
    if customer_id is None:
        raise refused_login(state.settings.login_refusal or 401)
    return _logged_in(state, call, customer_id)


async def logout(state: SandboxState, call: Call) -> Answer:
    """`POST /tokens/{token_id}/actions/logout`: the token stays valid, without a customer."""
    state.device_tokens.bind(call.own_device().token_id, customer_id=None)
    return no_content()


async def send_password_email(state: SandboxState, call: Call) -> Answer:
    """`POST /tokens/{token_id}/actions/send-password-setup-email`: sends nothing, remembers the request."""
    body = call.json()
    if not body.get("email"):
        required_text(body, "communication_channel_id", "recipient")
    state.password_emails.append(body)
    return no_content()


async def login_test_customer(state: SandboxState, call: Call) -> Answer:
    """`POST /tokens/{token_id}/actions/login-test-customer`: logs the oldest customer in."""
    if not len(state.customers):
        raise bad_request(InvalidParam(name="token_id", reason="not_found", message="There is no test customer"))
    return _logged_in(state, call, state.customers.id_at(0))


def _operation(method: str, action: str, handler: Handler) -> Operation:
    names = ("external_application_id", "token_type") if action == "/actions/auth-token" else ()
    return Operation(
        method=method,
        template=_TOKEN + action,
        handler=handler,
        access=Access.OWN_TOKEN,
        interfaces=ONLY_CUSTOMER,
        query_names=names,
    )


TABLE: Final = (
    Operation(method="POST", template="/tokens", handler=create, access=Access.OPEN, interfaces=ONLY_CUSTOMER),
    _operation("PUT", "", change),
    _operation("POST", "/actions/login", login),
    _operation("POST", "/actions/logout", logout),
    _operation("POST", "/actions/social-network-login", social_login),
    _operation("POST", "/actions/authentication-token-login", authentication_token_login),
    _operation("POST", "/actions/send-password-setup-email", send_password_email),
    _operation("POST", "/actions/login-test-customer", login_test_customer),
    _operation("GET", "/actions/auth-token", authentication_token),
)


def _by_email(state: SandboxState, value: str) -> list[int]:
    return _with_field(state, "email", value, state.customers.by_email(value))


def _by_phone(state: SandboxState, value: str) -> list[int]:
    return _with_field(state, "phone", value, state.customers.by_phone(value))


def _by_card(state: SandboxState, value: str) -> list[int]:
    store = state.customers
    return [slot for slot in store.by_card(value) if store.account_at(slot).card == value]


LOOK_UPS: Final = {"email": _by_email, "phone": _by_phone, "card": _by_card}


def _with_field(state: SandboxState, field: str, value: str, slots: list[int]) -> list[int]:
    def current(slot: int) -> str:
        person = state.customers.record(slot).get("personal_information") or {}
        return str(person.get(field)).casefold()

    return [slot for slot in slots if current(slot) == value.casefold()]


def _logged_in(state: SandboxState, call: Call, customer_id: str) -> Answer:
    state.device_tokens.bind(call.own_device().token_id, customer_id=customer_id)
    return data_answer({"customer_id": customer_id}, pretty=state.settings.pretty)


def known_application(application: str, *, name: str) -> None:
    """Check that the sandbox knows an application of customers.

    Raises:
        RefusalError: 400 that names the parameter.
    """
    if application not in APPLICATION_IDS:
        raise bad_request(InvalidParam(name=name, reason="not_found", value=application))


def _checked_setup(body: JsonObject) -> JsonObject:
    setup = required_object(body, "setup")
    required_text(setup, "language_id")
    faults = [
        InvalidParam(name=f"setup.{name}", reason="required" if name not in setup else "invalid_value_format")
        for name in ("allowed_gps", "allowed_notifications")
        if not isinstance(setup.get(name), bool)
    ]
    if faults:
        raise bad_request(*faults)
    return setup
