"""Credential checks and forgotten passwords."""

import httpx
import pytest
from every import every
from kit import CREDENTIALS, DEVICE, HOST, RefusedError, listed

from carecloud_async import (
    AuthenticationError,
    BadRequestError,
    CareCloud,
    ConflictError,
    InterfaceError,
    OutcomeUnknownError,
    SocialNetworkCredentialsInput,
)
from carecloud_async.workflows import (
    HandoverToken,
    LoginCase,
    LoginCheck,
    PasswordLogin,
    check_login,
    send_password_link,
    send_password_setup,
    set_password,
)

pytestmark = pytest.mark.anyio

PASSWORD = PasswordLogin(login_type="email", login_value="jane@example.com", password="Horse-7")
SOCIAL = SocialNetworkCredentialsInput(social_network_id="facebook", social_network_token="secret")
HANDOVER = HandoverToken(application_id="app", token="V952TL", token_request_id="702baa")
VERIFY = "POST /customers/actions/verify-{}"


def refuse(status, *params):
    def handler(sent):
        raise RefusedError(status, *params)

    return handler


SENT = [
    (PASSWORD, "credentials", {"login_type": "email", "login_value": "jane@example.com", "password": "Horse-7"}),
    (
        SOCIAL,
        "social-network-credentials",
        {"social_network_credentials": {"social_network_id": "facebook", "social_network_token": "secret"}},
    ),
    (HANDOVER, "auth-token", {"application_id": "app", "token": "V952TL", "token_request_id": "702baa"}),
]


@every("credentials, operation, body", SENT)
async def test_good_credentials_name_the_customer(client, server, credentials, operation, body):
    """Each kind of credentials is sent where it belongs, with and without an account in the shop."""
    server.on(VERIFY, {"customer_id": "jane"})
    for shop_knows, case in ((True, LoginCase.BOTH), (False, LoginCase.CARECLOUD_ONLY)):
        check = await check_login(client, credentials=credentials, shop_knows=shop_knows)
        assert check == LoginCheck(case=case, customer_id="jane")
        assert server.requests[-1] == (f"POST /customers/actions/verify-{operation}", body)


@every("status", [400, 401, 403, 404])
async def test_wrong_credentials_are_an_outcome(client, server, status):
    """However the project refuses them, with and without an account in the shop."""
    server.on(VERIFY, refuse(status, ("password", "not_found")))
    for shop_knows, case in ((True, LoginCase.SHOP_ONLY), (False, LoginCase.NEITHER)):
        assert await check_login(client, credentials=PASSWORD, shop_knows=shop_knows) == LoginCheck(case=case)


async def test_a_handover_token_is_never_shown_twice(client, server):
    """A lost verification is not repeated: a token for one use would be refused, and its customer seem unknown."""
    server.on(VERIFY, {"customer_id": "jane"})
    server.lose(VERIFY)
    with pytest.raises(OutcomeUnknownError):
        await check_login(client, credentials=HANDOVER, shop_knows=True)
    assert len(server.requests) == 1


async def test_a_malformed_login_is_no_outcome(client, server):
    """A kind of login that does not exist is a mistake in the program, not of the customer."""
    server.on(VERIFY, refuse(400, ("login_type", "not_allowed_value")))
    with pytest.raises(BadRequestError):
        await check_login(client, credentials=PASSWORD, shop_knows=True)


async def test_a_client_that_cannot_verify_is_no_outcome(server):
    """A client that cannot log in itself, and a device's, tell nothing of the customer's password."""
    refused = httpx.MockTransport(lambda _: httpx.Response(401, json={"error": {"type": "unauthorized_exception"}}))
    async with CareCloud(HOST, auth=CREDENTIALS, transport=refused) as client:
        with pytest.raises(AuthenticationError):
            await check_login(client, credentials=PASSWORD, shop_knows=True)
    async with server.client(auth=DEVICE) as client:
        with pytest.raises(InterfaceError):
            await check_login(client, credentials=PASSWORD, shop_knows=True)
    assert server.requests == []


def test_credentials_do_not_show():
    """The reprs hold no password, token, address or card number."""
    shown = repr(PASSWORD) + repr(HANDOVER)
    assert not any(word in shown for word in ("jane", "Horse", "V952TL", "702baa"))


async def test_carecloud_sends_the_link_on_the_customer_api(server):
    """Channel and recipient are sent for the client's own device token."""
    server.on("POST /tokens", {"token_id": "4d8121de"})
    server.on("POST /tokens/{}/actions/send-password-setup-email", None)
    async with server.client(auth=DEVICE) as client:
        await send_password_setup(client, communication_channel_id="email", recipient="jane@example.com")
    assert server.sent("POST /tokens/4d8121de/actions/send-password-setup-email") == [
        {"communication_channel_id": "email", "recipient": "jane@example.com"}
    ]


def customers(*emails):
    return listed(
        "customers", *({"customer_id": f"id {n}", "personal_information": {"email": e}} for n, e in enumerate(emails))
    )


async def test_the_shop_sends_its_own_link(client, server):
    """The customer with the address gets the template with the link; letter case does not matter."""
    server.on("GET /customers", customers(" Jane@Example.com ", "other@example.com"))
    server.on("POST /messages/actions/send-message", None)
    sent_to = await send_password_link(
        client, email="jane@example.com ", message_template_id="forgotten", parameters={"link": "https://shop/x"}
    )
    assert sent_to == "id 0"
    assert server.sent("POST /messages/actions/send-message") == [
        {
            "message": {
                "message_template_id": "forgotten",
                "customer_id": "id 0",
                "communication_channel_id": 1,
                "message_data": [{"parameter_name": "link", "value": "https://shop/x"}],
            }
        }
    ]


async def test_an_address_of_no_customer_or_of_two_gets_no_link(client, server):
    """Nothing is sent if the server drops the filter, or if it is not known whose password it would be."""
    link = {"email": "jane@example.com", "message_template_id": "x", "parameters": {}}
    server.on("GET /customers", customers("other@example.com"))
    assert await send_password_link(client, **link) is None
    server.on("GET /customers", customers("jane@example.com", "jane@example.com"))
    with pytest.raises(ConflictError, match="several customers"):
        await send_password_link(client, **link)


async def test_a_lost_link_is_reported(client, server):
    """The message is not sent a second time by itself."""
    server.on("GET /customers", customers("jane@example.com"))
    server.on("POST /messages/actions/send-message", None)
    server.lose("POST /messages/actions/send-message")
    with pytest.raises(OutcomeUnknownError):
        await send_password_link(client, email="jane@example.com", message_template_id="x", parameters={})
    assert len(server.sent("POST /messages/actions/send-message")) == 1


async def test_a_new_password_changes_nothing_else(client, server):
    """The record goes back as it was, with the password beside it."""
    person = {"first_name": "Jane", "language_id": "en"}
    server.on("GET /customers/{}", {"customer_id": "jane", "personal_information": person})
    server.on("PUT /customers/{}", None)
    await set_password(client, customer_id="jane", password="Horse-8")
    assert server.sent("PUT /customers/jane") == [{"customer": {"personal_information": person}, "password": "Horse-8"}]
