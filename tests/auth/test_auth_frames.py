"""Error reporters that capture local variables: no frame of a failed login or renewal shows a token or a person."""

import json

import pytest
from attrs import evolve
from auth_tools import (
    LOGIN,
    NotingStore,
    connect,
    credentials,
    frames_of,
    make_sandbox,
    social_session,
    sso_credentials,
)

from carecloud_async import (
    AuthenticationError,
    AuthenticationTokenSession,
    CareCloud,
    ConfigurationError,
    EnterpriseCredentials,
    NotFoundError,
    ResponseError,
    TokenStoreError,
)
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio
EMAIL = "planted.person@planted.example"
NAME = "Plantedlastname"
#: A token that no header can carry, such as a damaged one.
ODD_TOKEN = "Planted Token"
USER = {"user_id": "u1", "last_name": NAME, "email": EMAIL, "phone": 420777123987}


#: As Python reads a byte of the environment that is not UTF-8.
SURROGATE = "Planted\udce9Password"


@pytest.mark.parametrize("token", [{}, {"bearer_token": ODD_TOKEN}, {"bearer_token": [ODD_TOKEN]}])
async def test_a_login_without_a_usable_token(token):
    """The answer to a login that has no usable token describes the user, and is in no frame of the traceback."""
    sandbox = make_sandbox()
    answer = json.dumps({"data": {"user": USER, "valid_to": "2030-01-01 00:00:00", **token}})
    sandbox.faults.add(LOGIN, status=200, body=answer)
    async with connect(sandbox) as client:
        shown = await frames_of(client.ping, ResponseError)
    for secret in (EMAIL, NAME, "420777123987", ODD_TOKEN):
        assert secret not in shown


async def fetch():
    return "Planted-Wrong-2"


def named(device):
    """A device whose name is that of its owner."""
    return evolve(device, device=evolve(device.device, device_name="Planted-Name"))


def post(path, **path_params):
    return lambda client: client.request("POST", path, path_params=path_params or None)


WRONG = "Planted-Wrong-2"
#: Who calls, with something that is planted, and what fails.
FAILING = {
    "a password": (lambda _: credentials(WRONG), CareCloud.login),
    "a password that is fetched": (lambda _: credentials(fetch), CareCloud.login),
    "a password in bytes": (lambda _: credentials(lambda: b"Planted-Password"), CareCloud.ping),
    "a password that is no text": (lambda _: credentials(lambda: SURROGATE), CareCloud.ping),
    "a token of single sign-on": (lambda _: evolve(sso_credentials(), sso_token=WRONG), CareCloud.login),
    "a customer's password": (lambda sandbox: evolve(sandbox.customer_session(0), password=WRONG), CareCloud.login),
    "a social token": (lambda sandbox: evolve(social_session(sandbox), social_network_token=WRONG), CareCloud.login),
    "a token that was handed over": (
        lambda sandbox: AuthenticationTokenSession(sandbox.device(), token=WRONG, token_request_id="r"),
        CareCloud.login,
    ),
    "the name of a device": (lambda sandbox: named(sandbox.device("kiosk")), CareCloud.login),
    "a token in a path": (Sandbox.credentials, post("tokens/Planted-Token/actions/other")),
    "a token beside a path": (Sandbox.credentials, post("tokens/{token_id}/actions/other", token_id="Planted-Token")),
}


@pytest.mark.parametrize("name", FAILING)
async def test_what_a_failing_call_was_given(name):
    """A refused password or token of any identity, and what names its device, is in no frame, also if it is fetched."""
    (identify, call), sandbox = FAILING[name], make_sandbox()
    if "device" in name:
        sandbox.faults.add("POST /tokens", status=403)
    kind = ConfigurationError if "in bytes" in name or "no text" in name else (AuthenticationError, NotFoundError)
    async with connect(sandbox, auth=identify(sandbox)) as client:
        shown = await frames_of(lambda: call(client), kind)
    assert "Planted" not in shown


@pytest.mark.parametrize("name", ["password", "login", "external_application_id"])
def test_credentials_that_are_not_utf_8(name):
    """Credentials that are not UTF-8 raise a ConfigurationError that names the setting, and no encoding error."""
    with pytest.raises(ConfigurationError, match=f"{name} is text that is not UTF-8"):
        EnterpriseCredentials(**{"external_application_id": "a", "login": "b", "password": "c", name: SURROGATE})


async def test_a_renewal_that_fails():
    """The refused token, which the server may accept elsewhere, is in no frame."""
    sandbox = make_sandbox()
    store = NotingStore()
    async with connect(sandbox, auth=sandbox.device("kiosk"), token_store=store) as client:
        token = (await client.login()).token_id
        sandbox.faults.add("GET /stores", status=401)
        store.failing.add("lock")
        shown = await frames_of(lambda: client.stores.list().total(), TokenStoreError)
    assert token not in shown
