"""The fixtures of the pytest plugin, as users' tests see them: run by a pytest within this one.

What the guide on tests shows is run by tests/project/test_samples.py.
"""

import textwrap
from importlib.metadata import entry_points

import anyio
import pytest
from kit import connect

from carecloud_async.sandbox import Sandbox

pytest_plugins = ["pytester"]

PLUGIN = "carecloud_async.pytest_plugin"
INSTALLED = any(point.value == PLUGIN for point in entry_points(group="pytest11"))
INI = """
[pytest]
asyncio_mode = {mode}
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


@pytest.fixture(scope="module", autouse=True)
def sdk_loaded():
    """An inner run unloads the modules that it imports first: load them before, so that they are loaded once."""

    async def call():
        async with connect(Sandbox(customers=1)) as client:
            await client.customers.list().first()

    for backend in ("asyncio", "trio"):
        anyio.run(call, backend=backend)


@pytest.fixture
def run(pytester):
    """Run a file of tests in a pytest within this one or in a process apart, and expect this number to pass."""

    def run(code, *options, mode="strict", ini="", apart=False, **expected):
        pytester.makeini(INI.format(mode=mode) + ini)
        pytester.makepyfile(textwrap.dedent(code))
        plugin = () if INSTALLED else ("-p", PLUGIN)
        less = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
        start = pytester.runpytest_subprocess if apart else pytester.runpytest_inprocess
        result = start(*less, *plugin, *options)
        if any(expected.values()):
            result.assert_outcomes(**expected)
        return result

    return run


def test_fixtures_under_every_runner(run):
    """The client works under pytest-asyncio, under anyio on asyncio and trio, and in a test that runs its own loop."""
    run(
        """
        import asyncio
        import pytest

        @pytest.mark.asyncio
        async def test_pytest_asyncio(carecloud_client):
            assert await carecloud_client.customers.list().total() == 1000

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
        async def test_anyio(carecloud_client, carecloud_sandbox):
            assert await carecloud_client.customers.list().total() == 1000
            assert carecloud_sandbox.logins == 1

        def test_own_loop(carecloud_client):
            assert asyncio.run(carecloud_client.customers.list().total()) == 1000
        """,
        passed=4,
    )


@pytest.mark.parametrize("backend", ["asyncio", pytest.param("trio", marks=pytest.mark.thorough)])
def test_an_outbox_in_a_fixture(run, backend):
    """An outbox may be a fixture; `flush(timeout=5)` sends what is there, and no test waits for claims of another."""
    code = """
        import pytest
        from carecloud_async.sandbox import FIRST_CUSTOMER_ID

        pytestmark = [pytest.mark.anyio, pytest.mark.carecloud_sandbox(customers=5)]
        POINTS = "POST /points/actions/assign-points"

        @pytest.fixture
        async def outbox(carecloud_client, tmp_path):
            async with carecloud_client.outbox(tmp_path / "shop.db") as outbox:
                yield outbox

        async def put(client, outbox, reference):
            points = {"customer_id": FIRST_CUSTOMER_ID, "amount": 5, "reference": reference}
            await outbox.put(client.points.assign_points, **points)

        async def test_a_lost_answer_stays_behind(outbox, carecloud_client, carecloud_sandbox):
            carecloud_sandbox.faults.add(POINTS, cut="before")
            await put(carecloud_client, outbox, "B0")
            assert not await outbox.flush(timeout=5)
            assert (outbox.waiting, outbox.problem) == (1, None)

        async def test_all_is_sent(outbox, carecloud_client, carecloud_sandbox):
            for number in range(6):
                await put(carecloud_client, outbox, f"B{number}")
            assert await outbox.flush(timeout=5)
            assert carecloud_sandbox.count(POINTS) == 6
    """
    run(code, "-k", backend, passed=2)


def test_settings_and_faults_by_mark(run):
    """Marks configure the sandbox and its faults; waits take no real time, and waits and calls are recorded."""
    run(
        """
        import time
        import pytest

        pytestmark = [pytest.mark.asyncio, pytest.mark.carecloud_sandbox(customers=7)]

        @pytest.mark.carecloud_fault("GET /customers", status=429, retry_after=30, times=2)
        async def test_it(carecloud_client, carecloud_sandbox, carecloud_clock, carecloud_calls):
            began = time.monotonic()
            assert await carecloud_client.customers.list().total() == 7
            assert time.monotonic() - began < 55  # of the 60 seconds that were slept
            assert sum(carecloud_clock.sleeps) >= 60
            assert carecloud_sandbox.count("GET /customers") == 3
            assert [(c.path, c.attempts) for c in carecloud_calls if c.method == "GET"] == [("/customers", 3)]

        @pytest.mark.carecloud_sandbox(customers=3)
        async def test_nearest_mark_wins(carecloud_client):
            assert await carecloud_client.customers.list().total() == 3
        """,
        passed=2,
    )


def test_an_unused_fault_fails_a_test_where_the_configuration_says_so(run):
    """With `carecloud_unused_faults = fail` a test fails whose fault was never used; by default it passes."""
    code = """
        import pytest

        pytestmark = pytest.mark.asyncio

        @pytest.mark.carecloud_fault("GET /cards", status=503, times=None)
        async def test_unused(carecloud_client):
            await carecloud_client.ping()

        @pytest.mark.carecloud_fault("GET /customers", status=503)
        async def test_used(carecloud_client):
            await carecloud_client.ping()
    """
    run(code, passed=2)
    result = run(code, ini="carecloud_unused_faults = fail", passed=1, failed=1)
    result.stdout.fnmatch_lines("*faults that no request got: GET /cards (0 requests matched)*")
    refused = run(code, ini="carecloud_unused_faults = yes")
    assert "carecloud_unused_faults is ignore or fail, not 'yes'" in refused.stderr.str()


def test_a_fault_of_no_operation_is_an_error(run):
    """A mark whose pattern matches no operation fails its test and names the nearest operation."""
    code = """
        import pytest

        @pytest.mark.carecloud_fault("GET /custmers", status=503)
        def test_it(carecloud_sandbox):
            pass
    """
    run(code, errors=1).stdout.fnmatch_lines("*did you mean 'GET /customers'?")


def test_marks_are_known(run):
    """The marks are registered: --strict-markers takes them, --markers explains them."""
    result = run("def test_it(): pass", "--strict-markers", "--markers", passed=None)
    for name in ("carecloud_sandbox", "carecloud_fault", "carecloud_network"):
        result.stdout.fnmatch_lines(f"*{name}(*")


def test_an_own_sandbox(run):
    """A suite may replace the sandbox; the client follows."""
    run(
        """
        import pytest
        from carecloud_async.sandbox import Sandbox

        @pytest.fixture
        def carecloud_sandbox(carecloud_clock):
            return Sandbox(customers=2, clock=carecloud_clock.time)

        @pytest.mark.asyncio
        async def test_it(carecloud_client):
            assert await carecloud_client.customers.list().total() == 2
        """,
        passed=1,
    )


def test_beside_respx(run):
    """A client that is given an httpx client of its own is answered by respx; the guard does not mind."""
    pytest.importorskip("respx")
    run(
        """
        import httpx
        import pytest
        import respx
        from carecloud_async import CareCloud

        @pytest.mark.asyncio
        async def test_it(carecloud_sandbox):
            api = "https://crm.example.com/webservice/rest-api/enterprise-interface/v1.0"
            login = {"data": {"bearer_token": "t", "valid_to": "2099-01-01 00:00:00", "user": {}}}
            with respx.mock(base_url=api) as router:
                router.post("/users/actions/login").respond(json=login)
                router.get("/customers").respond(json={"data": {"customers": [], "total_items": 0}})
                async with httpx.AsyncClient() as http:
                    client = CareCloud("crm.example.com", auth=carecloud_sandbox.credentials(), http_client=http)
                    assert await client.customers.list().total() == 0
        """,
        passed=1,
    )


@pytest.mark.thorough
def test_the_guard_in_a_suite(run):
    """A client of another host fails its test with the fix named; a mark or an ini option allows the host."""
    code = """
        import asyncio
        import pytest
        from carecloud_async import CareCloud, CareCloudError, RetryPolicy

        def reach(sandbox):
            async def ping():
                options = {"auth": sandbox.credentials(), "timeout": 0.1, "retry": RetryPolicy(attempts=1)}
                async with CareCloud("192.0.2.1", **options) as client:
                    await client.ping()

            with pytest.raises(CareCloudError):
                asyncio.run(ping())

        def test_refused(carecloud_sandbox):
            reach(carecloud_sandbox)

        @pytest.mark.carecloud_network
        def test_marked(carecloud_sandbox):
            reach(carecloud_sandbox)

        @pytest.mark.carecloud_network("192.0.2.1")
        def test_named(carecloud_sandbox):
            reach(carecloud_sandbox)
    """
    # The guard of this run would refuse what the inner one allows.
    refused = run(code, apart=True, passed=2, failed=1)
    refused.stdout.fnmatch_lines("*HostRefusedError: this test tried to reach 192.0.2.1*")
    run(code, ini="carecloud_allowed_hosts = other.example.com 192.0.2.1", apart=True, passed=3)
