"""Which objects may send for us, and what of a user's own client counts."""

import importlib

import anyio
import httpx
import httpx2
import pytest
from lying import lie

from benchmarks.api_rules import broken_rules
from carecloud_async import (
    CareCloud,
    ConfigurationError,
    RequestTimeoutError,
    ResponseError,
    RetryPolicy,
    Timeout,
)
from carecloud_async.errors import BadRequestError, ServerError
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio
FAMILIES = [httpx, httpx2]


def names(family):
    return family.__name__


def connect(url="x.example.com", **options):
    return CareCloud(url, auth=Sandbox(1).credentials(), **options)


@pytest.mark.parametrize("family", FAMILIES, ids=names)
async def test_the_client_speaks_the_family_of_what_it_is_given(family):
    """An httpx2 transport brings an httpx2 client, an httpx client an httpx one; calls work on both."""
    sandbox = Sandbox(5)
    async with connect(transport=sandbox.transport(family=names(family))) as client:
        assert isinstance(client.http, family.AsyncClient)
        assert await client.customers.list().total() == 5
    async with family.AsyncClient(transport=sandbox.transport(family=names(family))) as http:
        async with connect(http_client=http) as client:
            assert client.http is http
            assert await client.customers.list().total() == 5
        assert not http.is_closed
    assert broken_rules(sandbox) == []


class Session:
    """Looks like what other libraries call their clients."""

    __module__ = "requests.sessions"


@pytest.mark.parametrize(
    ("setting", "make", "words"),
    [
        ("http_client", lambda: httpx.Client(), "httpx.Client"),
        ("http_client", lambda: httpx2.Client(), "httpx2.Client"),
        ("http_client", lambda: httpx.AsyncClient, "class AsyncClient: make one"),
        ("http_client", lambda: httpx.AsyncHTTPTransport(), "AsyncHTTPTransport"),
        ("http_client", lambda: Session(), "requests.Session"),
        ("http_client", lambda: "https://proxy", "builtins.str"),
        ("transport", lambda: httpx.HTTPTransport(), "httpx.HTTPTransport"),
        ("transport", lambda: httpx.AsyncClient(), "httpx.AsyncClient"),
        ("transport", lambda: httpx.ASGITransport, "class ASGITransport: make one"),
    ],
)
def test_a_wrong_client_or_transport_is_refused_with_what_to_pass(setting, make, words):
    """Sync ones, classes, one for the other, other libraries: the message says what is wanted and what came."""
    kind = "AsyncClient" if setting == "http_client" else "AsyncBaseTransport"
    with pytest.raises(ConfigurationError, match=rf"httpx\.{kind} or httpx2\.{kind}") as caught:
        connect(**{setting: make()})
    assert words in str(caught.value)


@pytest.mark.parametrize("family", FAMILIES, ids=names)
async def test_what_of_a_users_client_counts(family):
    """Default headers and hooks are kept; its auth, cookies, parameters, base address and Host are not ours to send."""
    sandbox = Sandbox(5)
    seen = []

    async def hook(request):
        seen.append(str(request.url))

    http = family.AsyncClient(
        transport=sandbox.transport(family=names(family)),
        auth=("user", "secret"),
        cookies={"session": "theirs"},
        params={"count": "99"},
        headers={"X-Team": "crm", "Authorization": "Basic x", "User-Agent": "theirs", "Host": "elsewhere.example"},
        base_url="https://elsewhere.example/path",
        event_hooks={"request": [hook]},
        follow_redirects=True,
    )
    async with http, connect(http_client=http) as client:
        assert (await client.customers.list(count=2).page()).received == 2
    login, listing = sandbox.requests
    for request in (login, listing):
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert headers["x-team"] == "crm"
        assert headers["host"] == "x.example.com"
        assert headers["user-agent"].startswith("carecloud-async/")
        assert "cookie" not in headers
    assert "authorization" not in {name.lower() for name in login.headers}
    assert broken_rules(sandbox) == []
    assert seen[-1] == "https://x.example.com/webservice/rest-api/enterprise-interface/v1.0/customers"


@pytest.mark.parametrize("family", FAMILIES, ids=names)
async def test_a_users_timeouts_count_unless_a_view_says_more(family):
    """The read timeout of the given client ends a call; `with_options(timeout=…)` overrules it."""
    sandbox = Sandbox(5)
    http = family.AsyncClient(transport=sandbox.transport(family=names(family)), timeout=0.5)
    async with http, connect(http_client=http, retry=RetryPolicy(attempts=1)) as client:
        await client.ping()
        sandbox.latency = 0.6
        with pytest.raises(RequestTimeoutError):
            await client.ping()
        await client.with_options(timeout=Timeout(read=60)).ping()


async def test_a_users_exception_in_a_hook_comes_out_as_itself():
    """An exception of a user's own hook is raised unchanged."""

    async def hook(request):
        raise KeyError("mine")

    http = httpx.AsyncClient(transport=Sandbox(5).transport(), event_hooks={"request": [hook]})
    async with http, connect(http_client=http) as client:
        with pytest.raises(KeyError, match="mine"):
            await client.ping()


@pytest.mark.parametrize("family", FAMILIES, ids=names)
async def test_a_hook_that_raises_for_status_changes_no_error(family):
    """`raise_for_status` in a hook is common; the error stays the one that the answer means, and a 503 is repeated."""

    async def hook(response):
        response.raise_for_status()

    sandbox = Sandbox(5)
    http = family.AsyncClient(transport=sandbox.transport(family=names(family)), event_hooks={"response": [hook]})
    async with http, connect(http_client=http, retry=RetryPolicy(attempts=3, base=0.001)) as client:
        sandbox.faults.add("GET /customers", status=503, times=2)
        await client.ping()
        sandbox.faults.add("GET /customers", status=501)
        with pytest.raises(ServerError):
            await client.ping()
        sandbox.faults.add("POST *", status=400)
        with pytest.raises(BadRequestError):
            await client.request("POST", "customers", json={})


@pytest.mark.parametrize("kind", ["default", "httpx", "httpx2"])
async def test_no_redirect_is_followed(kind):
    """A redirect is a ResponseError: following it to another host would give that host the token."""
    other = Sandbox(5)
    sandbox = Sandbox(5)
    async with sandbox.serving() as url, other.serving() as elsewhere:
        if kind == "default":
            http = None
            client = CareCloud(url, auth=sandbox.credentials())
        else:
            http = importlib.import_module(kind).AsyncClient(follow_redirects=True)
            client = CareCloud(url, auth=sandbox.credentials(), http_client=http)
        async with client:
            for status in (301, 302, 303, 307, 308):
                for target in (f"{elsewhere}/webservice/x", f"{url}/webservice/x", "/x"):
                    sandbox.faults.add("GET /customers", status=status, headers={"Location": target})
                    with pytest.raises(ResponseError, match=f"redirects \\({status}\\)"):
                        await client.ping()
        if http is not None:
            await http.aclose()
    assert other.count() == 0


@pytest.mark.parametrize(
    ("anyio_backend", "kind"),
    [
        ("asyncio", "default"),
        ("trio", "httpx2"),
        *(pytest.param("asyncio", kind, marks=pytest.mark.thorough) for kind in ("httpx", "httpx2")),
    ],
)
async def test_thirty_customers_on_one_pool_never_meet(kind):
    """90 calls of 30 customers, interleaved, on a server that sets cookies: each sees itself, no cookie is sent."""
    sandbox = Sandbox(100)
    lie(sandbox, cookies=True)
    async with sandbox.serving() as url:
        http = None if kind == "default" else importlib.import_module(kind).AsyncClient(cookies={"theirs": "1"})
        options = {} if http is None else {"http_client": http}
        async with CareCloud(url, auth=sandbox.device("portal"), rate_limit=None, **options) as portal:
            views = [portal.acting_as(sandbox.customer_session(index)) for index in range(30)]
            wanted = [sandbox.customers.id_at(index) for index in range(30)]
            matches = []

            async def ask(index):
                matches.append((await views[index].customers.me()).customer_id == wanted[index])

            for _ in range(3):
                async with anyio.create_task_group() as group:
                    for index in range(30):
                        group.start_soon(ask, index)
            assert matches == [True] * 90
            jar = portal.http.cookies.jar
            assert [cookie.name for cookie in jar] == ([] if http is None else ["theirs"])
        if http is not None:
            await http.aclose()
    assert "cookie" not in str(broken_rules(sandbox))


@pytest.mark.parametrize("family", FAMILIES, ids=names)
async def test_cookies_of_refused_and_broken_answers_are_forgotten_too(family):
    """A 401 before a renewal, an error, and half an answer leave nothing in a user's jar."""
    sandbox = Sandbox(10)
    lie(sandbox, cookies=True)
    async with sandbox.serving() as url, family.AsyncClient() as http:
        async with CareCloud(
            url, auth=sandbox.credentials(), http_client=http, retry=RetryPolicy(base=0.001)
        ) as client:
            await client.ping()
            sandbox.revoke_all()
            await client.ping()
            sandbox.faults.add("GET /customers", status=400, headers={"Set-Cookie": "a=1"})
            with pytest.raises(BadRequestError):
                await client.ping()
            sandbox.faults.add("GET /customers", cut="half")
            await client.ping()
        assert list(http.cookies.jar) == []
    assert "cookie" not in str(broken_rules(sandbox))
