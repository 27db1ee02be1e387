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
    AuthenticationTokenSession,
    ConfigurationError,
    EnterpriseCredentials,
    ResponseError,
    TokenStoreError,
)

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


@pytest.mark.parametrize("password", [b"Planted-Password", SURROGATE])
async def test_a_password_that_is_not_text(password):
    """Bytes, and text that no request can carry, are refused and shown nowhere."""
    async with connect(make_sandbox(), auth=credentials(lambda: password)) as client:
        shown = await frames_of(client.ping, ConfigurationError)
    assert "Planted" not in shown


WRONG = "Planted-Wrong-2"


async def fetch():
    return WRONG


@pytest.mark.parametrize(
    "identify",
    [
        lambda sandbox: credentials(WRONG),
        lambda sandbox: credentials(fetch),
        lambda sandbox: evolve(sso_credentials(), sso_token=WRONG),
        lambda sandbox: evolve(sandbox.customer_session(0), password=WRONG),
        lambda sandbox: evolve(social_session(sandbox), social_network_token=WRONG),
        lambda sandbox: AuthenticationTokenSession(sandbox.device(), token=WRONG, token_request_id="r"),
    ],
    ids=["text", "fetched", "sso", "customer", "social", "handed over"],
)
async def test_a_refused_secret(identify):
    """A refused password or token of any identity is in no frame, also where it is fetched."""
    sandbox = make_sandbox()
    async with connect(sandbox, auth=identify(sandbox)) as client:
        shown = await frames_of(client.login)
    assert WRONG not in shown


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


@pytest.mark.parametrize(
    ("path", "path_params"),
    [("tokens/Planted-Token/actions/other", None), ("tokens/{token_id}/actions/other", {"token_id": "Planted-Token"})],
)
async def test_a_token_in_the_path_of_any_call(path, path_params):
    """A token that a caller puts into a path, or beside it, is in no frame of a failed call."""
    async with connect(make_sandbox()) as client:
        shown = await frames_of(lambda: client.request("POST", path, path_params=path_params))
    assert "Planted" not in shown


async def test_a_device_whose_token_is_refused():
    """The name of a device, which may be that of its owner, is in no frame."""
    sandbox = make_sandbox()
    sandbox.faults.add("POST /tokens", status=403)
    device = sandbox.device("kiosk")
    device = evolve(device, device=evolve(device.device, device_name=NAME))
    async with connect(sandbox, auth=device) as client:
        shown = await frames_of(client.login)
    assert NAME not in shown
