"""`CareCloudAuth`: an identity's tokens for a user's own AsyncClient, without a CareCloud."""

import anyio
import httpx
import httpx2
import kit
import pytest
from clocks import FakeClock

from carecloud_async import (
    AuthenticationError,
    CareCloudAuth,
    CareCloudError,
    ConfigurationError,
    EnterpriseCredentials,
    FileTokenStore,
)
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio
families = pytest.mark.parametrize("family", [httpx, httpx2], ids=lambda family: family.__name__)

HOST = kit.HOST
PATH = "/webservice/rest-api/enterprise-interface/v1.0/customers"
CUSTOMERS = f"https://{HOST}{PATH}"
HEADERS = {"Accept": "application/json", "Content-Type": "application/json", "Accept-Language": "cs"}


def logins_through(sandbox, family=httpx):
    return family.AsyncClient(transport=sandbox.transport(family=family.__name__))


def own(sandbox, auth, family=httpx):
    return family.AsyncClient(transport=sandbox.transport(family=family.__name__), auth=auth, headers=HEADERS)


async def ask_at_once(http, number):
    statuses = []

    async def ask():
        statuses.append((await http.get(CUSTOMERS, params={"count": 1})).status_code)

    async with anyio.create_task_group() as group:
        for _ in range(number):
            group.start_soon(ask)
    return statuses


@families
async def test_fifty_requests_at_once_send_one_login(family):
    """The first requests wait for one login, and those with a revoked token for one renewal."""
    sandbox = Sandbox(5, latency=0.003)
    async with logins_through(sandbox, family) as through:
        auth = CareCloudAuth(HOST, sandbox.credentials(), http_client=through)
        async with own(sandbox, auth, family) as http:
            assert await ask_at_once(http, 50) == [200] * 50
            assert sandbox.logins == 1
            sandbox.revoke_all()
            assert await ask_at_once(http, 50) == [200] * 50
    assert sandbox.logins == 2
    assert sandbox.statuses[401] <= 50


@families
async def test_a_401_is_replayed_once(family):
    """A request that the server refuses with two tokens is sent twice, and the user gets the second 401."""
    sandbox = Sandbox(5)
    sent = []

    def refuse(request):
        sent.append(request.headers["authorization"])
        return family.Response(401, json={"error": {"type": "Unauthorized"}})

    async with logins_through(sandbox, family) as through:
        auth = CareCloudAuth(HOST, sandbox.credentials(), http_client=through)
        async with family.AsyncClient(transport=family.MockTransport(refuse), auth=auth) as http:
            assert (await http.get(CUSTOMERS)).status_code == 401
    assert len(sent) == len(set(sent)) == 2


async def test_a_token_is_renewed_before_its_end():
    """In the last tenth of its life the token is replaced by one login, without a 401."""
    clock = FakeClock()
    sandbox = Sandbox(5, clock=clock.time, token_lifetime=1000)
    async with logins_through(sandbox) as through:
        auth = CareCloudAuth(HOST, sandbox.credentials(), http_client=through, clock=clock)
        async with own(sandbox, auth) as http:
            await http.get(CUSTOMERS)
            clock.advance(500)
            await http.get(CUSTOMERS)
            assert sandbox.logins == 1
            clock.advance(450)
            assert await ask_at_once(http, 20) == [200] * 20
    assert sandbox.logins == 2
    assert sandbox.statuses[401] == 0


async def test_a_store_is_shared_with_a_carecloud(tmp_path):
    """The auth uses the token that a CareCloud has left in the store, and the CareCloud a new one of the auth."""
    sandbox = Sandbox(5)
    store = FileTokenStore(tmp_path / "tokens")
    async with logins_through(sandbox) as through:
        auth = CareCloudAuth(HOST, sandbox.credentials(), http_client=through, token_store=store)
        async with own(sandbox, auth) as http:
            async with kit.connect(sandbox, token_store=store) as client:
                await client.ping()
                assert (await http.get(CUSTOMERS)).status_code == 200
            assert sandbox.logins == 1
            sandbox.revoke_all()
            await http.get(CUSTOMERS)
        async with kit.connect(sandbox, token_store=store) as client:
            await client.ping()
    assert sandbox.logins == 2


@families
@pytest.mark.parametrize("url", ["https://elsewhere.example/", f"http://{HOST}/", f"https://{HOST}:8443/"])
async def test_another_origin_is_refused(family, url):
    """A request to another scheme, host or port raises before anything is sent, the login too."""
    sandbox = Sandbox(5)
    asked = []
    transport = family.MockTransport(lambda request: asked.append(request) or family.Response(200))
    async with logins_through(sandbox, family) as through:
        auth = CareCloudAuth(HOST, sandbox.credentials(), http_client=through)
        async with family.AsyncClient(transport=transport, auth=auth) as http:
            with pytest.raises(ConfigurationError, match=f"https://{HOST} only"):
                await http.get(url)
    assert not asked
    assert not sandbox.logins


async def test_one_auth_serves_clients_of_both_libraries():
    """A program that moves from httpx to httpx2 keeps its auth."""
    sandbox = Sandbox(5)
    async with logins_through(sandbox) as through:
        auth = CareCloudAuth(HOST, sandbox.credentials(), http_client=through)
        async with own(sandbox, auth, httpx) as first, own(sandbox, auth, httpx2) as second:
            assert (await first.get(CUSTOMERS)).status_code == (await second.get(CUSTOMERS)).status_code == 200
    assert sandbox.logins == 1


async def test_a_refused_login_raises_from_the_request():
    """Wrong credentials are an AuthenticationError, which shows no secret and no URL of the request."""
    sandbox = Sandbox(5)
    application = sandbox.credentials().external_application_id
    wrong = EnterpriseCredentials(external_application_id=application, login="fabulous_user", password="n0pe")
    async with logins_through(sandbox) as through:
        auth = CareCloudAuth(HOST, wrong, http_client=through)
        async with own(sandbox, auth) as http:
            with pytest.raises(AuthenticationError, match="check the credentials") as caught:
                await http.get(CUSTOMERS + "/t0ken")
    assert isinstance(caught.value, CareCloudError)
    assert "n0pe" not in repr(caught.value)
    assert "t0ken" not in str(caught.value)


async def test_logins_leave_no_connection_open():
    """Without an `http_client=` each login opens a connection and closes it: the auth needs no closing."""
    sandbox = Sandbox(5)
    async with sandbox.serving() as url:
        auth = CareCloudAuth(url, sandbox.credentials())
        async with httpx.AsyncClient(auth=auth, base_url=url, headers=HEADERS) as http:
            assert (await http.get(PATH)).status_code == 200
            sandbox.revoke_all()
            assert (await http.get(PATH)).status_code == 200
        with anyio.fail_after(20):
            while sandbox.connections.now:  # noqa: ASYNC110  (another thread's count)
                await anyio.sleep(0.002)
    assert sandbox.logins == 2


@families
async def test_a_sync_client_is_refused(family):
    """A sync client gets an error that names AsyncClient."""
    auth = CareCloudAuth(HOST, kit.CREDENTIALS)
    transport = family.MockTransport(lambda _: family.Response(200))
    with family.Client(transport=transport, auth=auth) as http, pytest.raises(ConfigurationError, match="AsyncClient"):
        http.get(CUSTOMERS)


def test_what_is_no_identity_is_refused():
    """The identity is checked where the auth is made."""
    with pytest.raises(ConfigurationError, match="AuthProvider"):
        CareCloudAuth(HOST, ("user", "word"))
