"""A dead token that is answered with another status than 401, and missing rights: who logs in, and how often."""

import anyio.lowlevel
import httpx
import pytest
from auth_tools import OwnProvider, in_parallel, manager_of
from every import every
from kit import login_answer

from carecloud_async import (
    ApiError,
    AuthenticationError,
    CareCloud,
    CustomerSession,
    Device,
    DeviceSetup,
    DeviceToken,
    EnterpriseCredentials,
    FileTokenStore,
    OutcomeUnknownError,
    PermissionDeniedError,
    ResponseError,
    RetryPolicy,
    Token,
)
from carecloud_async._calls.auth.token import ActiveToken
from carecloud_async.pytest_plugin.clock import FakeClock

pytestmark = pytest.mark.anyio

DENIED = {"type": "access_denied_exception", "title": "Access denied"}
INVALID = {"exception": "bad_request_exception", "error_data": {"invalid_params": []}}
NAMED = {"exception": "x", "error_data": {"invalid_params": [{"name": "bearer_token", "reason": "not_found"}]}}
#: How servers may answer a dead token.
ANSWERS = {
    "403": (403, DENIED),
    "400": (400, INVALID),
    "400 that names the token": (400, NAMED),
    "200 with an error": (200, {"exception": "token_exception"}),
}


def age(project):
    """Let the token grow older than a fresh one."""
    project.clock.advance(6)


class Project:
    """A server of users and customers that answers a dead token with a status of its choice.

    Attributes:
        answer: status and `error` for a dead token.
        alive: the tokens that are good.
        denied: ends of the paths that no token may call.
        requests: method and path of each request.
        clock: the clock of its clients.
    """

    def __init__(self, answer=(403, DENIED)):
        self.answer = answer
        self.alive, self.denied, self.requests, self.done = set(), (), [], 0
        self.login_status = 200
        self.clock = FakeClock()

    def count(self, method, end):
        return sum(sent == method and path.endswith(end) for sent, path in self.requests)

    @property
    def logins(self):
        return self.count("POST", "/users/actions/login")

    def __call__(self, request):
        path = request.url.path.partition("/v1.0")[2]
        self.requests.append((request.method, path))
        number = len(self.requests)
        if path == "/users/actions/login":
            if self.login_status != 200:
                return httpx.Response(self.login_status, json={"error": {"exception": "no"}})
            self.alive.add(f"token-{number}")
            return login_answer(f"token-{number}")
        if path == "/tokens":
            self.alive.add(f"token-{number}")
            return httpx.Response(201, json={"data": {"token_id": f"token-{number}"}})
        if path.endswith("/actions/login"):
            return httpx.Response(200, json={"data": {"customer_id": "c"}})
        status, error = self.answer
        if request.headers["authorization"].removeprefix("Bearer ") not in self.alive:
            return httpx.Response(status, json={"error": error})
        if path.endswith(self.denied):
            return httpx.Response(403, json={"error": DENIED})
        if request.method == "GET":
            return httpx.Response(200, json={"data": {"customer_id": "c", "customers": [{"customer_id": "c"}]}})
        self.done += 1
        return httpx.Response(204)


USER = EnterpriseCredentials(external_application_id="a" * 24, login="u", password="p")


def connect(project, *, auth=USER, **options):
    options = {"rate_limit": None, "retry": RetryPolicy(attempts=1), **options}
    return CareCloud("x.example.com", auth=auth, transport=httpx.MockTransport(project), clock=project.clock, **options)


def password_session():
    device = DeviceToken(
        external_application_id="a" * 24,
        device=Device(device_system="OSX", device_name="n", device_type="t"),
        setup=DeviceSetup(language_id="cs", allowed_gps=False, allowed_notifications=False),
    )
    return CustomerSession(device, login_type="email", login_value="jan@example.com", password="p")


@every("name", ANSWERS)
async def test_a_dead_token_is_replaced_once_whatever_the_status(name):
    """A call that was allowed before is repeated with a new token: one login, and one for all calls in flight."""
    project = Project(ANSWERS[name])
    async with connect(project) as client:
        await client.customers.get("c")
        project.alive.clear()
        age(project)
        assert (await client.customers.get("c")).customer_id == "c"
        assert project.logins == 2
        project.alive.clear()
        age(project)
        found = await in_parallel(30, lambda: client.customers.get("c"))
    assert [one.customer_id for one in found] == ["c"] * 30
    assert project.logins == 3


async def test_a_write_is_repeated_after_a_refusal_alone():
    """A POST that was refused with 403 is sent again and done once; after a 200 with an error it may have happened."""
    project = Project()
    async with connect(project) as client:
        for _ in range(2):
            await client.request("POST", "credits/actions/transfer-credits", json={})
            project.alive.clear()
            age(project)
        assert (project.done, project.logins) == (2, 2)
        project.answer = ANSWERS["200 with an error"]
        age(project)
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.request("POST", "credits/actions/transfer-credits", json={})
    assert isinstance(caught.value.__cause__, ResponseError)
    assert (project.done, project.logins) == (2, 2)


async def test_a_fresh_token_is_not_doubted():
    """Within five seconds of a login, a refusal of what was allowed before stands: it is about a record or a right."""
    project = Project()
    async with connect(project) as client:
        await client.customers.get("c")
        project.alive.clear()
        with pytest.raises(PermissionDeniedError):
            await client.customers.get("c")
        assert project.logins == 1
        age(project)
        assert (await client.customers.get("c")).customer_id == "c"
    assert project.logins == 2


async def test_a_call_that_was_never_allowed_costs_no_login():
    """A refusal of an operation that no token of this client was allowed to call stands at once."""
    project = Project()
    project.denied = "/x"
    async with connect(project) as client:
        await client.customers.get("c")
        age(project)
        for _ in range(3):
            with pytest.raises(PermissionDeniedError):
                await client.bookings.delete("x")
    assert project.logins == 1


async def test_missing_rights_cost_few_logins():
    """A right that was taken away costs one login, and eleven operations without one cost seven in six hours."""
    project = Project()
    async with connect(project) as client:
        for number in range(100):
            await client.request("GET", f"things-{number}/x")
        project.denied = "/x"
        age(project)
        for _ in range(2):
            with pytest.raises(PermissionDeniedError):
                await client.request("GET", "things-0/x")
        assert project.logins == 2
        for _ in range(6 * 12):
            project.clock.advance(300)
            for number in range(1, 100, 9):
                with pytest.raises(PermissionDeniedError):
                    await client.request("GET", f"things-{number}/x")
    assert project.logins <= 2 + 7


async def test_a_right_that_only_some_records_lack_costs_few_logins():
    """Where one record may be read and another not, refusals cost a login an hour at most, after the first ones."""
    project = Project()
    project.denied = "/secret"
    async with connect(project) as client:
        for _ in range(6 * 60):
            project.clock.advance(60)
            await client.customers.get("c")
            with pytest.raises(PermissionDeniedError):
                await client.customers.get("secret")
    assert project.logins <= 1 + 7 + 6


async def test_a_failed_login_leaves_the_refusal_and_the_token():
    """If the login fails, the call ends with its own refusal, and other calls go on with the old token."""
    project = Project()
    async with connect(project) as client:
        await client.customers.get("c")
        project.denied, project.login_status = "/secret", 503
        age(project)
        with pytest.raises(PermissionDeniedError):
            await client.customers.get("secret")
        assert (await client.customers.get("c")).customer_id == "c"
    assert project.logins == 2


async def test_a_dead_token_from_the_store_is_replaced_at_the_first_call(tmp_path):
    """Another process's token that never worked here is doubted at once; without a right that costs one login."""
    project = Project()
    for alive, logins in ((True, 1), (False, 2)):
        if not alive:
            project.alive.clear()
        async with connect(project, token_store=FileTokenStore(tmp_path / "tokens")) as client:
            assert (await client.customers.get("c")).customer_id == "c"
        assert project.logins == logins
    project.denied = "/secret"
    async with connect(project, token_store=FileTokenStore(tmp_path / "tokens")) as client:
        for _ in range(5):
            with pytest.raises(PermissionDeniedError):
                await client.customers.get("secret")
    assert project.logins == 3


async def test_a_customers_good_token_is_never_replaced():
    """A password session whose call is refused asks whom its token serves: a good one is kept, a dead one replaced."""
    project = Project()
    async with connect(project, auth=password_session()) as client:
        await client.customers.get("c")
        project.denied = "/secret"
        age(project)
        for _ in range(5):
            with pytest.raises(PermissionDeniedError):
                await client.customers.get("secret")
        assert project.count("POST", "/tokens") == 1
        assert project.count("GET", "/customers") == 1
        project.denied = ()
        await client.customers.get("c")
        project.clock.advance(61)
        project.alive.clear()
        assert (await client.customers.get("c")).customer_id == "c"
    assert project.count("POST", "/tokens") == 2


@pytest.mark.parametrize("auth", [CustomerSession.resume(token_id="token-0"), password_session().device])
async def test_sessions_and_devices_that_cannot_be_renewed_keep_the_refusal(auth):
    """A resumed session and a device send nothing more after a 403: it stays what it is, and the session goes on."""
    project = Project()
    project.alive = {"token-0"}
    async with connect(project, auth=auth) as client:
        await client.customers.get("c")
        project.denied, before = "/secret", len(project.requests)
        age(project)
        with pytest.raises(PermissionDeniedError):
            await client.customers.get("secret")
        assert len(project.requests) == before + 1
        assert (await client.customers.get("c")).customer_id == "c"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, {"type": "interface_not_allowed_exception"}),
        (400, {"error_data": {"invalid_params": [{"name": "email", "reason": "required"}]}}),
        (404, {"exception": "not_found_exception"}),
    ],
)
async def test_a_refusal_that_names_its_reason_is_not_about_the_token(status, error):
    """The wrong interface, invalid parameters and a missing record cost no login."""
    project = Project((status, error))
    async with connect(project) as client:
        await client.customers.get("c")
        project.alive.clear()
        age(project)
        with pytest.raises(ApiError):
            await client.customers.get("c")
    assert project.logins == 1


class ChangedPassword(OwnProvider):
    """A user whose token is not stored, and whose password has changed since the last login."""

    stored = False

    async def credentials_fingerprint(self):
        await anyio.lowlevel.checkpoint()
        return "new"


async def test_concurrent_doubts_make_one_renewal_while_the_password_changes():
    """Calls whose token is doubted at once, after a refused renewal and with a new password, share one login."""
    provider = ChangedPassword(Token("new"))
    manager = manager_of(provider)
    doubted = Token("old", expires_in=3600)
    manager._state = ActiveToken(token=doubted)
    refused = AuthenticationError(status=401, method="POST", path="/users/actions/login")
    manager._login_backoff.on_failed(refused, credentials_fingerprint="old")
    tokens = await in_parallel(5, lambda: manager.replace(doubted))
    assert [str(token.value) for token in tokens] == ["new"] * 5
    assert provider.asked == 1
