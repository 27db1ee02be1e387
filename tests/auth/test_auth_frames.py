"""Error reporters that capture local variables: no frame of a failed login or renewal shows a token or a person."""

import json
import traceback
from contextlib import asynccontextmanager

import pytest
from attrs import evolve
from auth_tools import LOGIN, connect, credentials, make_sandbox
from redis_servers import own_redis_server  # noqa: F401  (a fixture)

from carecloud_async import (
    CareCloudError,
    ConfigurationError,
    EnterpriseCredentials,
    MemoryTokenStore,
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


class FailingStore(MemoryTokenStore):
    """A store whose locks fail once `fails` is set."""

    fails = False

    @asynccontextmanager
    async def lock(self, key):
        if self.fails:
            raise TokenStoreError("the store is not there")
        async with super().lock(key):
            yield


async def frames_of(work, kind=CareCloudError):
    """Return the error's traceback with the local variables of the package's frames."""
    with pytest.raises(kind) as caught:
        await work()
    whole = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    shown = ""
    while whole is not None:
        frames = [frame for frame in whole.stack if "carecloud_async" in frame.filename]
        shown += "".join(f"{frame.name} {frame.locals}\n" for frame in frames)
        whole = whole.__cause__ or whole.__context__
    assert len(shown) > 500
    return shown


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


@pytest.mark.parametrize("name", ["password", "login", "external_application_id"])
def test_credentials_that_are_not_utf_8(name):
    """Credentials that are not UTF-8 raise a ConfigurationError that names the setting, and no encoding error."""
    with pytest.raises(ConfigurationError, match=f"{name} is text that is not UTF-8"):
        EnterpriseCredentials(**{"external_application_id": "a", "login": "b", "password": "c", name: SURROGATE})


async def test_a_renewal_that_fails():
    """The refused token, which the server may accept elsewhere, is in no frame."""
    sandbox = make_sandbox()
    store = FailingStore()
    async with connect(sandbox, auth=sandbox.device("kiosk"), token_store=store) as client:
        token = (await client.login()).token_id
        sandbox.faults.add("GET /stores", status=401)
        store.fails = True
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
