"""An identity's tokens in a user's own AsyncClient: `CareCloudAuth`, and `client.auth` of a CareCloud."""

import gzip
import zlib
from contextlib import asynccontextmanager

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
    ClientClosedError,
    ConfigurationError,
    EnterpriseCredentials,
    FileTokenStore,
)
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio

HOST = kit.HOST
PATH = "/webservice/rest-api/enterprise-interface/v1.0/customers"
CUSTOMERS = f"https://{HOST}{PATH}"
HEADERS = {"Accept": "application/json", "Content-Type": "application/json", "Accept-Language": "cs"}

#: Whose auth it is, and whose clients take it.
every_auth = pytest.mark.parametrize(
    ("kind", "family"), [("own", httpx), ("own", httpx2), ("client", httpx), ("client", httpx2)]
)


@asynccontextmanager
async def auth_of(sandbox, kind="own", family=httpx, *, identity=None, **options):
    """Make the auth of an identity: one of its own, whose logins go to the sandbox, or a CareCloud's."""
    identity = identity or sandbox.credentials()
    transport = sandbox.transport(family=family.__name__)
    if kind == "own":
        async with family.AsyncClient(transport=transport) as through:
            yield CareCloudAuth(HOST, identity, http_client=through, **options)
    else:
        async with kit.connect(sandbox, auth=identity, transport=transport, **options) as client:
            yield client.auth


def user(sandbox, auth, family=httpx):
    return family.AsyncClient(transport=sandbox.transport(family=family.__name__), auth=auth, headers=HEADERS)


async def ask_at_once(http, number):
    statuses = []

    async def ask():
        statuses.append((await http.get(CUSTOMERS, params={"count": 1})).status_code)

    async with anyio.create_task_group() as group:
        for _ in range(number):
            group.start_soon(ask)
    return statuses


@every_auth
async def test_fifty_requests_at_once_send_one_login(kind, family):
    """The first requests wait for one login, and those with a revoked token for one renewal; bodies are sent again."""
    sandbox = Sandbox(5, latency=0.003)

    async def body():
        yield b"{}"

    async with auth_of(sandbox, kind, family) as auth, user(sandbox, auth, family) as http:
        assert await ask_at_once(http, 50) == [200] * 50
        assert sandbox.logins == 1
        sandbox.revoke_all()
        assert await ask_at_once(http, 50) == [200] * 50
        assert sandbox.logins == 2
        sandbox.revoke_all()
        assert (await http.post(CUSTOMERS, content=body())).status_code == 400
    assert sandbox.logins == 3


@every_auth
async def test_a_401_is_replayed_once(kind, family):
    """A request that the server refuses with two tokens is sent twice, and the user gets the second 401."""
    sent = []

    def refuse(request):
        sent.append(request.headers["authorization"])
        return family.Response(401, json={"error": {"type": "Unauthorized"}})

    transport = family.MockTransport(refuse)
    async with (
        auth_of(Sandbox(5), kind, family) as auth,
        family.AsyncClient(transport=transport, auth=auth) as http,
    ):
        assert (await http.get(CUSTOMERS)).status_code == 401
    assert len(sent) == len(set(sent)) == 2


@every_auth
@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_401_may_be_packed_as_the_users_client_asks_for(kind, family, encoding, pack):
    """The user's library unpacks it: what it accepts, and the SDK's own client perhaps does not, is replayed too."""
    refused = pack(b'{"error": {"type": "Unauthorized"}}')
    answers = [family.Response(401, headers={"Content-Encoding": encoding}, stream=family.ByteStream(refused))]

    def answer(request):
        assert encoding in request.headers["accept-encoding"]
        return answers.pop() if answers else family.Response(200)

    transport = family.MockTransport(answer)
    async with (
        auth_of(Sandbox(5), kind, family) as auth,
        family.AsyncClient(transport=transport, auth=auth) as http,
    ):
        assert (await http.get(CUSTOMERS)).status_code == 200


@every_auth
async def test_the_token_goes_to_the_project_only(kind, family):
    """Another scheme, host or port is refused before anything is sent, the login too; a redirect goes without it."""
    sandbox, seen = Sandbox(5), {}

    def answer(request):
        seen[request.url.host] = request.headers.get("authorization")
        target = {"Location": "https://elsewhere.example/"}
        return family.Response(302, headers=target) if request.url.host == HOST else family.Response(200)

    options = {"transport": family.MockTransport(answer), "follow_redirects": True}
    async with auth_of(sandbox, kind, family) as auth, family.AsyncClient(auth=auth, **options) as http:
        for url in (
            "https://elsewhere.example/customers",
            f"http://{HOST}/customers",
            f"https://{HOST}:8443/customers",
            f"https://{HOST}.elsewhere.example/customers",
            f"https://elsewhere.example/{HOST}",
            f"https://{HOST}@elsewhere.example/",
        ):
            with pytest.raises(ConfigurationError, match=f"https://{HOST} only"):
                await http.get(url)
        assert not seen
        assert not sandbox.logins
        await http.get(CUSTOMERS)
    assert seen[HOST].startswith("Bearer ")
    assert seen["elsewhere.example"] is None


@every_auth
async def test_a_refused_login_raises_from_the_request(kind, family):
    """Wrong credentials are an AuthenticationError, which shows no secret and no URL of the request."""
    sandbox = Sandbox(5)
    application = sandbox.credentials().external_application_id
    wrong = EnterpriseCredentials(external_application_id=application, login="fabulous_user", password="n0pe")
    async with auth_of(sandbox, kind, family, identity=wrong) as auth, user(sandbox, auth, family) as http:
        with pytest.raises(AuthenticationError, match="check the credentials") as caught:
            await http.get(CUSTOMERS + "/t0ken")
    assert isinstance(caught.value, CareCloudError)
    assert "n0pe" not in repr(caught.value)
    assert "t0ken" not in str(caught.value)


@every_auth
async def test_a_sync_client_is_refused(kind, family):
    """A sync client, which would send no token at all, gets an error that names AsyncClient."""
    transport = family.MockTransport(lambda _: family.Response(200))
    async with auth_of(Sandbox(5), kind, family) as auth:
        with (
            family.Client(transport=transport, auth=auth) as http,
            pytest.raises(ConfigurationError, match="AsyncClient"),
        ):
            http.get(CUSTOMERS)


async def test_the_auth_of_a_closed_client_is_closed():
    """After `aclose()` nothing is sent with its tokens."""
    sandbox = Sandbox(5)
    async with auth_of(sandbox, "client") as auth:
        pass
    async with user(sandbox, auth) as http:
        with pytest.raises(ClientClosedError):
            await http.get(CUSTOMERS)


async def test_a_token_is_renewed_before_its_end():
    """In the last tenth of its life the token is replaced by one login, without a 401."""
    clock = FakeClock()
    sandbox = Sandbox(5, clock=clock.time, token_lifetime=1000)
    async with auth_of(sandbox, clock=clock) as auth, user(sandbox, auth) as http:
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
    async with auth_of(sandbox, token_store=store) as auth, user(sandbox, auth) as http:
        async with kit.connect(sandbox, token_store=store) as client:
            await client.ping()
            assert (await http.get(CUSTOMERS)).status_code == 200
        assert sandbox.logins == 1
        sandbox.revoke_all()
        await http.get(CUSTOMERS)
    async with kit.connect(sandbox, token_store=store) as client:
        await client.ping()
    assert sandbox.logins == 2


async def test_one_auth_serves_clients_of_both_libraries():
    """A program that moves from httpx to httpx2 keeps its auth."""
    sandbox = Sandbox(5)
    async with auth_of(sandbox) as auth, user(sandbox, auth, httpx) as first, user(sandbox, auth, httpx2) as second:
        assert (await first.get(CUSTOMERS)).status_code == (await second.get(CUSTOMERS)).status_code == 200
    assert sandbox.logins == 1


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


def test_what_is_no_identity_is_refused():
    """The identity is checked where the auth is made."""
    with pytest.raises(ConfigurationError, match="AuthProvider"):
        CareCloudAuth(HOST, ("user", "word"))
