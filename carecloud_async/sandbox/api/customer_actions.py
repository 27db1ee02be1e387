"""Actions on customers that check what they get: credentials, tokens for other applications, new data, the search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from carecloud_async.sandbox.api.answer import Answer, data_answer
from carecloud_async.sandbox.api.calls import Access, Call, Handler, Interface, Operation, required_text
from carecloud_async.sandbox.api.customer_filters import CustomerFilters, CustomerSearch
from carecloud_async.sandbox.api.customer_input import checked_social, is_strong
from carecloud_async.sandbox.api.problems import InvalidParam, RefusalError, bad_request, refused_login
from carecloud_async.sandbox.api.tokens import LOOK_UPS, known_application, new_handover
from carecloud_async.sandbox.constants import REFERRAL_CODE
from carecloud_async.sandbox.state.sandbox_state import SandboxState

_ACTIONS: Final = "/customers/actions"


async def verify_credentials(state: SandboxState, call: Call) -> Answer:
    """`POST …/verify-credentials`: the customer with this e-mail or card and this password."""
    kind, value, password = required_text(call.json(), "login_type", "login_value", "password")
    if kind not in ("card", "email"):
        raise bad_request(InvalidParam(name="login_type", reason="not_allowed_value", value=kind))
    for slot in LOOK_UPS[kind](state, value):
        if state.customers.account_at(slot).password == password:
            return data_answer({"customer_id": state.customers.id_of(slot)}, pretty=state.settings.pretty)
    raise _refused(state)


async def verify_social_network(state: SandboxState, call: Call) -> Answer:
    """`POST …/verify-social-network-credentials`: the customer with this token at this network."""
    social = checked_social(call.json())
    if social is None:
        raise bad_request(InvalidParam(name="social_network_credentials", reason="required"))
    slot = state.customers.by_social(*social)
    if slot is None:
        raise _refused(state)
    return data_answer({"customer_id": state.customers.id_of(slot)}, pretty=state.settings.pretty)


async def check_registration_ability(state: SandboxState, call: Call) -> Answer:
    """`POST …/check-registration-ability`: whether this e-mail or phone is still free."""
    kind, value = required_text(call.json(), "type", "value")
    if kind not in ("email", "phone"):
        raise bad_request(InvalidParam(name="type", reason="not_allowed_value", value=kind))
    free = not LOOK_UPS[kind](state, value)
    return data_answer({"registration_ability": free}, pretty=state.settings.pretty)


async def validate_customer_data(state: SandboxState, call: Call) -> Answer:
    """`POST …/validate-customer-data`: whether a password is strong enough, or a referral code known."""
    kind, value = required_text(call.json(), "type", "value")
    checks = {"password": is_strong(value), "referral_code": value == REFERRAL_CODE}
    if kind not in checks:
        raise bad_request(InvalidParam(name="type", reason="not_allowed_value", value=kind))
    return data_answer({"is_valid": checks[kind]}, pretty=state.settings.pretty)


async def issue_auth_token(state: SandboxState, call: Call) -> Answer:
    """`POST …/auth-token`: a token that takes a customer to another application."""
    body = call.json()
    customer_id, application = required_text(body, "customer_id", "external_application_id")
    known_application(application, name="external_application_id")
    if customer_id not in state.customers:
        raise bad_request(InvalidParam(name="customer_id", reason="not_found", value=customer_id))
    kind = body.get("token_type")
    if kind is None:
        raise bad_request(InvalidParam(name="token_type", reason="required"))
    return new_handover(state, kind=str(kind), application_id=application, customer_id=customer_id)


async def verify_auth_token(state: SandboxState, call: Call) -> Answer:
    """`POST …/verify-auth-token`: whose token it is; uses it up."""
    application, token, request_id = required_text(call.json(), "application_id", "token", "token_request_id")
    now = state.clock.now()
    customer_id = state.device_tokens.redeem(token, request_id=request_id, application_id=application, now=now)
    if customer_id is None:
        raise _refused(state)
    return data_answer({"customer_id": customer_id}, pretty=state.settings.pretty)


async def search_customers(state: SandboxState, call: Call) -> Answer:
    """`GET …/search-customers`: the customers that match all of name, date of birth and card number that are given."""
    filters = CustomerFilters(
        first_name=call.query.one("first_name"),
        last_name=call.query.one("last_name"),
        birthdate=call.query.one("birthdate"),
    )
    with state.customers.lock:
        slots = list(CustomerSearch(state.customers).find(filters, sort_field=None))
        card = call.query.one("card_number")
        if card is not None:
            holders = {*LOOK_UPS["card"](state, card), *_holders(state, card)}
            slots = [slot for slot in slots if slot in holders]
        given = sum(call.query.one(name) is not None for name in _SEARCHED)
        found = [{"customer_id": state.customers.id_of(slot), "match": given} for slot in slots] if given else []
    return data_answer({"strict": found}, pretty=state.settings.pretty)


def _holders(state: SandboxState, card_number: str) -> Iterator[int]:
    for card in state.tables.table("/cards"):
        slot = state.customers.slot(str(card.get("customer_id") or ""))
        if card.get("card_number") == card_number and slot is not None:
            yield slot


_SEARCHED: Final = ("first_name", "last_name", "birthdate", "card_number")
_ENTERPRISE: Final = frozenset({Interface.ENTERPRISE})


def _operation(method: str, action: str, handler: Handler, *, names: tuple[str, ...] = ()) -> Operation:
    return Operation(
        method=method,
        template=f"{_ACTIONS}/{action}",
        handler=handler,
        access=Access.USER,
        interfaces=_ENTERPRISE,
        query_names=names,
    )


TABLE: Final = (
    _operation("POST", "verify-credentials", verify_credentials),
    _operation("POST", "verify-social-network-credentials", verify_social_network),
    _operation("POST", "auth-token", issue_auth_token),
    _operation("POST", "verify-auth-token", verify_auth_token),
    _operation("GET", "search-customers", search_customers, names=(*_SEARCHED, "mode")),
    Operation(
        method="POST",
        template=f"{_ACTIONS}/check-registration-ability",
        handler=check_registration_ability,
        access=Access.DEVICE,
    ),
    Operation(
        method="POST",
        template=f"{_ACTIONS}/validate-customer-data",
        handler=validate_customer_data,
        access=Access.OPEN,
    ),
)


def _refused(state: SandboxState) -> RefusalError:
    return refused_login(state.settings.login_refusal or 403)
