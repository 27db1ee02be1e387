"""The client as a whole: settings, views, the way of a first call, closing."""

import asyncio
import inspect

import httpx
import pytest
from every import every
from kit import connect

from carecloud_async import (
    CareCloud,
    ClientClosedError,
    ConfigurationError,
    CustomerInput,
    CustomerSourceInput,
    EnterpriseCredentials,
    MemoryTokenStore,
    PersonalInformationInput,
    RateLimit,
    ResponseCache,
    RetryPolicy,
    Timeout,
)
from carecloud_async.sandbox import Sandbox

HOST = "sandbox.crmcarecloud.com"
pytestmark = pytest.mark.anyio


@pytest.fixture
def sandbox():
    return Sandbox(customers=40, seed=3)


@every(
    "method, path",
    [
        ("FETCH", "customers"),
        ("GET", "customers?count=1"),
        ("GET", "https://elsewhere.example/customers"),
        ("GET", "customers/../users"),
        ("GET", ""),
    ],
)
async def test_a_call_that_cannot_work_is_refused_unsent(sandbox, method, path):
    """Bad verbs and paths are ConfigurationErrors before anything is sent."""
    async with connect(sandbox) as client:
        with pytest.raises(ConfigurationError):
            await client.request(method, path)
    assert not sandbox.requests


async def test_a_view_is_cheap_and_shares_the_pool(sandbox):
    """`with_options` and `acting_as` share pool and identity; closing a view closes nothing."""
    async with connect(sandbox) as client:
        view = client.with_options(language="de", timeout=7, retry=RetryPolicy(attempts=1))
        assert view.http is client.http
        await view.ping()
        await view.aclose()
        await client.ping()
    assert sandbox.logins == 1
    assert [r.headers["accept-language"] for r in sandbox.requests if r.method == "GET"] == ["de", "cs, en-gb;q=0.8"]


async def test_a_closed_client_says_so(sandbox):
    """Calls after aclose() raise ClientClosedError; closing twice is fine; closing logs out no session."""
    client = connect(sandbox)
    await client.ping()
    await client.aclose()
    await client.aclose()
    with pytest.raises(ClientClosedError):
        await client.ping()
    with pytest.raises(ClientClosedError):
        await client.with_options(language="de").login()
    assert sandbox.count("POST /users/actions/logout") == 0


async def test_autologin_needs_a_view_of_its_own(sandbox):
    """`autologin` on a shared client is refused: the new customer's token would serve all its callers."""
    new = CustomerInput(personal_information=PersonalInformationInput(language_id="en", first_name="Ada"))
    source = CustomerSourceInput(customer_source_id="8bed991c68a4")
    async with connect(sandbox, auth=sandbox.device()) as client:
        with pytest.raises(ConfigurationError, match="acting_as"):
            await client.customers.create(new, customer_source=source, password="Secret-1234", autologin=True)
        with pytest.raises(ConfigurationError, match="password"):
            await client.acting_as(sandbox.device()).customers.create(new, customer_source=source, autologin=True)
    device = sandbox.device("ONE")
    async with connect(sandbox, auth=device) as client:
        view = client.acting_as(device).with_options(language="en")
        with pytest.raises(ConfigurationError, match="acting_as"):  # the client's own token under another name
            await view.customers.create(new, customer_source=source, password="Secret-1234", autologin=True)
    assert sandbox.count("POST /customers") == 0


class Observing:
    """The class of telemetry in place of an object of it."""

    def observer(self, client):
        """Do nothing: it is not called."""


@every(
    "settings",
    [
        {"auth": "token"},
        {"token_store": 5},
        {"token_store": MemoryTokenStore},
        {"timeout": 0},
        {"timeout": "soon"},
        *({"timeout": wrong} for wrong in (None, -1, True)),
        {"read_only": "no"},
        {"language": "č"},
        {"language": "cs\r\nX: y"},
        *({"telemetry": wrong} for wrong in (object(), Observing, True)),
        {"max_connections": 0},
        {"max_connections": 2.5},
        {"max_sessions": 0},
        *({"max_response_bytes": wrong} for wrong in (0, -1, 1.5, "256MB", None, True)),
        *({"rate_limit": wrong} for wrong in (20, RateLimit)),
        *({"retry": wrong} for wrong in (5, None)),
        *({"cache": wrong} for wrong in (1000, {}, ResponseCache)),
        *({"verify": wrong} for wrong in (3, "/no/such/bundle.pem")),
        *({"on_call": wrong} for wrong in (3, asyncio.sleep)),
        {"http_client": object()},
        {"transport": object()},
        {"http_client": httpx.AsyncClient},
        {"http_client": httpx.AsyncClient(), "timeout": 5},
        {"http_client": httpx.AsyncClient(), "transport": httpx.MockTransport(lambda _: None)},
        {"timezone": "Mars/Olympus"},
        *(
            {"proxy": wrong}
            for wrong in ("ftp://h:21", "socks5://h:1080", "//proxy", "", "proxy:3128", "http://user:pass@[::bad")
        ),
        *({"app_name": wrong} for wrong in ("", "two words", "a\r\nX: y", "č", "a/b/c", 3, "x" * 200)),
    ],
)
def test_settings_that_cannot_work_are_refused(settings):
    """Every wrong argument is a ConfigurationError that names it when the client is made, a view's options too."""
    auth = EnterpriseCredentials(external_application_id="a", login="b", password="c")
    with pytest.raises(ConfigurationError, match=f"(?i){[*settings][-1]}") as caught:
        CareCloud(HOST, **{"auth": auth} | settings)
    assert "pass@" not in str(caught.value)
    [*values] = settings.values()
    if settings.keys() <= {"language", "timeout", "retry", "read_only"} and values != [None]:
        with pytest.raises(ConfigurationError):
            CareCloud(HOST, auth=auth).with_options(**settings)


@every(
    "kind, setting",
    [
        *((RetryPolicy, {"attempts": wrong}) for wrong in (0, 1.5, True)),
        *((RetryPolicy, {"base": wrong}) for wrong in (0, float("nan"))),
        *((RetryPolicy, {"max_wait": wrong}) for wrong in (-1, float("inf"))),
        *((RetryPolicy, {f"budget_{name}": -0.1}) for name in ("ratio", "per_second", "reserve")),
        *((Timeout, {"limiter": wrong}) for wrong in (0, -1, "3", True, float("nan"))),
        *(
            (RateLimit, {"requests_per_second": wrong})
            for wrong in (0, -1, float("nan"), float("inf"), "20", True, None)
        ),
        *((ResponseCache, {name: 0}) for name in ("max_entries", "max_bytes", "reference_seconds")),
    ],
)
def test_a_number_that_cannot_work_is_refused(kind, setting):
    """A number of a policy, a timeout, a limit, a cache or a window that cannot work is refused with its name."""
    with pytest.raises(ConfigurationError, match=f"{kind.__name__}.*{next(iter(setting))}"):
        kind(**setting)


def test_an_unknown_setting_is_named():
    """The error is Python's own, and names the client and the argument."""
    with pytest.raises(TypeError, match=r"CareCloud\.__init__\(\) got an unexpected keyword argument 'time_zone'"):
        CareCloud(HOST, auth=Sandbox(1).credentials(), time_zone="UTC")


def test_from_env_names_what_is_missing(monkeypatch):
    """`from_env` lists every variable that is missing, and takes overrides."""
    for name in ("PROJECT_URL", "EXTERNAL_APPLICATION_ID", "LOGIN", "PASSWORD", "TIMEZONE", "LANGUAGE"):
        monkeypatch.delenv(f"CARECLOUD_{name}", raising=False)
    monkeypatch.setenv("CARECLOUD_LOGIN", "me")
    with pytest.raises(ConfigurationError, match=r"CARECLOUD_PROJECT_URL.*CARECLOUD_PASSWORD"):
        CareCloud.from_env()
    monkeypatch.setenv("CARECLOUD_PROJECT_URL", HOST)
    monkeypatch.setenv("CARECLOUD_EXTERNAL_APPLICATION_ID", "app")
    monkeypatch.setenv("CARECLOUD_PASSWORD", "word")
    monkeypatch.setenv("CARECLOUD_TIMEZONE", "Asia/Kolkata")
    assert str(CareCloud.from_env().project.timezone) == "Asia/Kolkata"


async def test_a_timeout_of_seconds_bounds_the_phases_too(sandbox):
    """A number is the total; connecting and reading never take longer than that, or than by default."""
    seen, answers = [], sandbox.transport()

    class Noting(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            seen.append([request.extensions["timeout"][phase] for phase in ("connect", "read")])
            return await answers.handle_async_request(request)

    async with connect(sandbox, transport=Noting(), timeout=3) as client:
        await client.login()
        await client.with_options(timeout=60).ping()
    assert seen == [[3, 3], [5, 30]]


def test_the_signature_has_the_settings_and_their_defaults():
    """The address is the one positional argument; `help()` shows the settings with their defaults."""
    parameters = inspect.signature(CareCloud).parameters
    assert [name for name, parameter in parameters.items() if parameter.kind is not parameter.KEYWORD_ONLY] == [
        "project_url"
    ]
    promised = "auth timezone language retry rate_limit transport http_client allow_http"
    assert {*promised.split()} <= parameters.keys()
    shown = {
        name: parameters[name].default for name in ("timeout", "max_connections", "verify", "proxy", "token_store")
    }
    assert shown == {
        "timeout": Timeout(connect=5, read=30, total=120),
        "max_connections": 20,
        "verify": True,
        "proxy": None,
        "token_store": None,
    }


@every("given", [{"params": [("a", 1)]}, {"path_params": [("a", 1)]}])
async def test_parameters_that_are_no_dict_are_refused(sandbox, given):
    """Pairs in place of a dict get an error that says what to give."""
    async with connect(sandbox) as client:
        with pytest.raises(ConfigurationError, match="must be a dict"):
            await client.request("GET", "cards", **given)
