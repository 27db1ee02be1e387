"""The operations on device tokens: create, change, and log a customer in and out on one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Call, Handler
from carecloud_async.sandbox.api.customer_input import checked_social
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request, refused_login, unauthorized
from carecloud_async.sandbox.constants import CUSTOMER_APPLICATION_ID, OTHER_CUSTOMER_APPLICATION_ID
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.customer_store import CustomerStore
from carecloud_async.sandbox.state.device_tokens import Handover
from carecloud_async.sandbox.state.sandbox_state import HANDOVER_LIFETIME, SandboxState

APPLICATION_IDS: Final = frozenset({CUSTOMER_APPLICATION_ID, OTHER_CUSTOMER_APPLICATION_ID})
_LETTERS: Final = {"1": "ABCDEFGHJKLMNPQRSTUVWXYZ23456789", "2": "0123456789"}
"""The characters of an authentication token, by its type."""
_REFUSED: Final = 401
"""Status of wrong credentials, where the settings name none."""


def create(state: SandboxState, call: Call) -> JsonObject:
    """`POST /tokens`: a new token for a device kills its older one."""
    body = arguments(state, call)
    application = body["external_application_id"]
    _check_application(application)
    token_id = state.device_tokens.create(
        application_id=application, device=body["device"], setup=body["setup"], push_token=body.get("push_token")
    )
    return {"token_id": token_id}


def change(state: SandboxState, call: Call) -> None:
    """`PUT /tokens/{token_id}`."""
    body = arguments(state, call)
    state.device_tokens.change_setup(call.path["token_id"], setup=body["setup"], push_token=body.get("push_token"))


def login(state: SandboxState, call: Call) -> JsonObject:
    """`POST /tokens/{token_id}/actions/login`: by e-mail, phone or card."""
    return _logged_in(state, call, customer_of_login(state, call, refusal=_REFUSED))


def social_login(state: SandboxState, call: Call) -> JsonObject:
    """`POST /tokens/{token_id}/actions/social-network-login`."""
    return _logged_in(state, call, customer_of_social(state, call, refusal=_REFUSED))


def authentication_token_login(state: SandboxState, call: Call) -> JsonObject:
    """`POST /tokens/{token_id}/actions/authentication-token-login`: uses such a token up."""
    return _logged_in(state, call, customer_of_token(state, call, refusal=_REFUSED))


def login_test_customer(state: SandboxState, call: Call) -> JsonObject:
    """`POST /tokens/{token_id}/actions/login-test-customer`: logs the oldest customer in."""
    if not len(state.customers):
        raise bad_request(InvalidParam(name="token_id", reason="not_found", message="There is no test customer"))
    return _logged_in(state, call, state.customers.id_at(0))


def logout(state: SandboxState, call: Call) -> None:
    """`POST /tokens/{token_id}/actions/logout`: the token stays valid, without a customer."""
    state.device_tokens.bind(call.path["token_id"], customer_id=None)


def authentication_token(state: SandboxState, call: Call) -> JsonObject:
    """`GET /tokens/{token_id}/actions/auth-token`: a token that takes the customer to another application."""
    if call.customer_id is None:
        raise unauthorized("No customer is logged in on this token")
    application = call.query.one("external_application_id")
    if not application:
        raise bad_request(InvalidParam(name="external_application_id", reason="required"))
    kind = call.query.one("token_type") or "1"
    return new_handover(state, kind=kind, application_id=application, customer_id=call.customer_id)


def send_password_email(state: SandboxState, call: Call) -> None:
    """`POST /tokens/{token_id}/actions/send-password-setup-email`: sends nothing, remembers the request."""
    body = arguments(state, call)
    missing = [name for name in ("communication_channel_id", "recipient") if not body.get(name)]
    if missing and not body.get("email"):
        raise bad_request(*(InvalidParam(name=name, reason="required") for name in missing))
    state.password_emails.append(body)


HANDLERS: Final[dict[str, Handler]] = {
    "getTokenAuthentication": authentication_token,
    "postToken": create,
    "postTokenAuthTokenLogin": authentication_token_login,
    "postTokenLogin": login,
    "postTokenLogout": logout,
    "postTokenSendPasswordSetup": send_password_email,
    "postTokenSocialLogin": social_login,
    "postTokenTestCustomerLogin": login_test_customer,
    "putToken": change,
}


# Customers by their credentials; the actions on customers use these too


def customer_of_login(state: SandboxState, call: Call, *, refusal: int) -> str:
    """The customer with this e-mail, phone or card and this password.

    Args:
        state: The state.
        call: The request.
        refusal: Status where there is none and the settings name no other.

    Raises:
        RefusalError: There is none, or the body is not valid.
    """
    body = arguments(state, call)
    for slot in LOOK_UPS[body["login_type"]](state.customers, body["login_value"]):
        if state.customers.account_at(slot).password == body["password"]:
            return state.customers.id_of(slot)
    raise refused_login(state.settings.login_refusal or refusal)


def customer_of_social(state: SandboxState, call: Call, *, refusal: int) -> str:
    """The customer with this token at this social network; see `customer_of_login`."""
    social = checked_social(arguments(state, call))
    slot = None if social is None else state.customers.by_social(*social)
    if slot is None:
        raise refused_login(state.settings.login_refusal or refusal)
    return state.customers.id_of(slot)


def customer_of_token(state: SandboxState, call: Call, *, refusal: int) -> str:
    """The customer of this authentication token, which is used up; see `customer_of_login`."""
    body = arguments(state, call)
    customer_id = state.device_tokens.redeem(
        body["token"],
        request_id=body["token_request_id"],
        application_id=body["application_id"],
        now=state.clock.now(),
    )
    if customer_id is None:
        raise refused_login(state.settings.login_refusal or refusal)
    return customer_id


def new_handover(state: SandboxState, *, kind: str, application_id: str, customer_id: str) -> JsonObject:
    """Make an authentication token, and return the data of the answer.

    Args:
        state: The state.
        kind: `1` for letters and digits, `2` for digits alone.
        application_id: The application that the customer goes to.
        customer_id: The customer.

    Raises:
        RefusalError: 400 for another kind or application.
    """
    _check_application(application_id)
    if kind not in _LETTERS:
        raise bad_request(InvalidParam(name="token_type", reason="not_allowed_value"))
    handover = Handover(
        value="".join(state.random.choice(_LETTERS[kind]) for _ in range(6)),
        request_id=state.hex(72),
        application_id=application_id,
        customer_id=customer_id,
        ends=state.clock.now() + HANDOVER_LIFETIME,
    )
    state.device_tokens.hand_over(handover)
    return {
        "authentication_token": handover.value,
        "token_request_id": handover.request_id,
        "valid_to": state.local(handover.ends),
    }


LOOK_UPS: Final[Mapping[str, Callable[[CustomerStore, str], list[int]]]] = {
    "email": CustomerStore.by_email,
    "phone": CustomerStore.by_phone,
    "card": CustomerStore.by_card,
}


def _logged_in(state: SandboxState, call: Call, customer_id: str) -> JsonObject:
    state.device_tokens.bind(call.path["token_id"], customer_id=customer_id)
    return {"customer_id": customer_id}


def _check_application(application: str) -> None:
    if application not in APPLICATION_IDS:
        raise bad_request(InvalidParam(name="external_application_id", reason="not_found", value=application))
