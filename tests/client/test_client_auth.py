"""`client.auth`: the identity's tokens in an AsyncClient of the user's own."""

import anyio
import httpx
import httpx2
import kit
import pytest

from carecloud_async import AuthenticationError, ClientClosedError, ConfigurationError, EnterpriseCredentials
from carecloud_async.sandbox import Sandbox

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("family", [httpx, httpx2], ids=lambda family: family.__name__)]

HOST = "sandbox.crmcarecloud.com"
CUSTOMERS = f"https://{HOST}/webservice/rest-api/enterprise-interface/v1.0/customers"


def connect(sandbox, family, **options):
    return kit.connect(sandbox, transport=sandbox.transport(family=family.__name__), **options)


def own(sandbox, family, client, **options):
    headers = {"Accept": "application/json", "Content-Type": "application/json", "Accept-Language": "cs"}
    transport = sandbox.transport(family=family.__name__)
    return family.AsyncClient(transport=transport, auth=client.auth, headers=headers, **options)


async def test_a_hundred_calls_survive_a_revoked_token_with_one_login(family):
    """All calls of the user's own client share one renewal and are replayed; the SDK goes on with the token."""
    sandbox = Sandbox(5)
    statuses = []
    async with connect(sandbox, family) as client, own(sandbox, family, client) as http:
        await client.ping()
        sandbox.revoke_all()

        async def ask():
            statuses.append((await http.get(CUSTOMERS, params={"count": 1})).status_code)

        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(ask)
        await client.ping()
    assert statuses == [200] * 100
    assert sandbox.logins == 2


async def test_a_body_is_sent_again_after_a_401(family):
    """A request whose body is a stream is replayed whole."""
    sandbox = Sandbox(5)

    async def body():
        yield b"{}"

    async with connect(sandbox, family) as client, own(sandbox, family, client) as http:
        await client.ping()
        sandbox.revoke_all()
        assert (await http.post(CUSTOMERS, content=body())).status_code == 400
    assert sandbox.logins == 2


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/customers",
        f"http://{HOST}/customers",
        f"https://{HOST}:8443/customers",
        f"https://{HOST}.elsewhere.example/customers",
        f"https://elsewhere.example/{HOST}",
        f"https://{HOST}@elsewhere.example/",
    ],
)
async def test_the_token_goes_to_the_project_only(family, url):
    """Another scheme, host or port is refused before anything is sent, and before a login."""
    sandbox = Sandbox(5)
    asked = []

    def answer(request):
        asked.append(request)
        return family.Response(200)

    async with (
        connect(sandbox, family) as client,
        family.AsyncClient(transport=family.MockTransport(answer), auth=client.auth) as http,
    ):
        with pytest.raises(ConfigurationError, match=f"https://{HOST} only"):
            await http.get(url)
    assert asked == []
    assert sandbox.logins == 0


async def test_a_redirect_elsewhere_goes_without_the_token(family):
    """A server that redirects to another host does not pass the token on."""
    sandbox = Sandbox(5)
    seen = {}

    def answer(request):
        seen[request.url.host] = request.headers.get("authorization")
        target = {"Location": "https://elsewhere.example/"}
        return family.Response(302, headers=target) if request.url.host == HOST else family.Response(200)

    async with connect(sandbox, family) as client:
        options = {"transport": family.MockTransport(answer), "auth": client.auth, "follow_redirects": True}
        async with family.AsyncClient(**options) as http:
            await http.get(CUSTOMERS)
    assert seen[HOST].startswith("Bearer ")
    assert seen["elsewhere.example"] is None


async def test_a_refused_login_comes_out_as_ours(family):
    """An error of the login reaches the user's call, and does not show the URL of the call."""
    sandbox = Sandbox(5)
    known = sandbox.credentials()
    wrong = EnterpriseCredentials(
        external_application_id=known.external_application_id, login="fabulous_user", password="nope"
    )
    async with connect(sandbox, family, auth=wrong) as client, own(sandbox, family, client) as http:
        with pytest.raises(AuthenticationError, match="check the credentials"):
            await http.get(CUSTOMERS + "/t0ken")


async def test_the_auth_of_a_closed_client_is_closed(family):
    """After `aclose()` nothing is sent with its tokens."""
    sandbox = Sandbox(5)
    client = connect(sandbox, family)
    async with own(sandbox, family, client) as http:
        await client.aclose()
        with pytest.raises(ClientClosedError):
            await http.get(CUSTOMERS)


async def test_a_sync_client_is_refused(family):
    """A sync client, which would send no token at all, gets an error that names AsyncClient."""
    sandbox = Sandbox(5)
    async with connect(sandbox, family) as client:
        with (
            family.Client(transport=family.MockTransport(lambda _: family.Response(200)), auth=client.auth) as http,
            pytest.raises(ConfigurationError, match="AsyncClient"),
        ):
            http.get(CUSTOMERS)
