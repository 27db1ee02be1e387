"""The guards of the pytest plugin: loopback only, for the SDK or for all of the process, unless configured."""

import asyncio
import errno
import socket
import subprocess
import sys
import textwrap

import anyio
import httpx
import httpx2
import pytest
from thorough import variants

from carecloud_async import CareCloud, CareCloudError, ConnectionFailedError, RetryPolicy
from carecloud_async.pytest_plugin.guard import HostRefusedError, guarded
from carecloud_async.sandbox import Sandbox

pytest_plugins = ["pytester"]

SANDBOX = Sandbox(customers=3)
#: Addresses that are reserved for documentation: no server answers there.
FAR = "192.0.2.1"
#: Hypothesis takes longer to import than everything else of an inner run together.
PLAIN = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")


@pytest.fixture
def guard():
    with guarded((), "all"):
        yield


@pytest.fixture
def sdk_guard():
    with guarded((), "sdk"):
        yield


@pytest.mark.usefixtures("guard")
@pytest.mark.parametrize("host", [FAR, "2001:db8::1", "crm.example.com"])
def test_other_hosts_are_refused(host):
    """Names and addresses of other hosts are refused before anything is sent, with the fix named."""
    with pytest.raises(HostRefusedError, match="carecloud_network") as caught:
        socket.create_connection((host, 443), timeout=1)
    assert host in str(caught.value)


@pytest.mark.usefixtures("guard")
def test_every_way_out_is_guarded():
    """Both ways to connect a socket, datagrams, and the older look-ups of names are guarded; loopback is let by."""
    with socket.socket() as sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        ways = [
            lambda: sock.connect((FAR, 443)),
            lambda: sock.connect_ex((FAR, 443)),
            lambda: datagrams.sendto(b"x", (FAR, 53)),
            lambda: datagrams.sendto(b"x", 0, (FAR, 53)),
            lambda: socket.gethostbyname("crm.example.com"),
            lambda: socket.gethostbyname_ex("crm.example.com"),
        ]
        for way in ways:
            with pytest.raises(HostRefusedError):
                way()
        assert datagrams.sendto(b"x", ("127.0.0.1", 9)) == 1
    assert socket.gethostbyname("localhost") == socket.gethostbyname_ex("localhost")[2][0]


async def ping(host="crm.example.com", **options):
    async with CareCloud(host, auth=SANDBOX.credentials(), **options) as client:
        await client.ping()


@pytest.mark.parametrize("guard", ["guard", "sdk_guard"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_forgotten_client_is_refused_at_once(request, guard, backend):
    """A client of a real project fails on its first call with the guard's own error, and does not repeat it."""
    request.getfixturevalue(guard)
    calls = []
    with pytest.raises(HostRefusedError, match=r"reach crm\.example\.com.*carecloud_network"):
        anyio.run(lambda: ping(on_call=calls.append), backend=backend)
    assert {call.attempts for call in calls} == {1}


@pytest.mark.usefixtures("sdk_guard")
@pytest.mark.parametrize("http_library", [httpx, httpx2])
@pytest.mark.parametrize("host", [FAR, "crm.example.com", "[2001:db8::1]"])
def test_a_clients_own_http_client_is_refused_at_its_socket(http_library, host):
    """A given `http_client=` or `transport=` may send, because it may be a mock; a real one reaches no other host."""

    async def through_given_client():
        async with http_library.AsyncClient() as http:
            await ping(host, http_client=http)

    async def through_given_transport():
        await ping(host, transport=http_library.AsyncHTTPTransport())

    for call in (through_given_client, through_given_transport):
        with pytest.RaisesGroup(HostRefusedError, allow_unwrapped=True, flatten_subgroups=True):
            anyio.run(call)


@pytest.mark.usefixtures("sdk_guard")
def test_a_mock_of_another_host_is_let_by():
    """A mocked transport answers for any host."""
    anyio.run(lambda: ping(transport=SANDBOX.transport()))


@pytest.mark.usefixtures("sdk_guard")
def test_a_proxy_leads_to_allowed_hosts_only(monkeypatch):
    """Through a proxy both hosts are checked: one on loopback, also of the environment, leads to no real project."""
    with pytest.raises(HostRefusedError, match=r"proxy\.example\.com"):
        anyio.run(lambda: ping("127.0.0.1", proxy="http://proxy.example.com:3128"))
    with pytest.raises(HostRefusedError, match=r"crm\.example\.com"):
        anyio.run(lambda: ping("crm.example.com", proxy="http://127.0.0.1:9"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(HostRefusedError, match=r"crm\.example\.com"):
        anyio.run(lambda: ping("crm.example.com"))
    with guarded(["crm.example.com"], "sdk"), pytest.raises(ConnectionFailedError):
        anyio.run(lambda: ping("crm.example.com", retry=RetryPolicy(attempts=1)))


@pytest.mark.usefixtures("sdk_guard")
def test_connections_that_are_not_the_sdks_are_left_alone():
    """A suite's own database and other services are reached beside the SDK's guard."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert sock.connect_ex((FAR, 5432)) in {0, errno.ENETUNREACH, errno.EPERM, errno.EACCES}  # sends nothing


@pytest.mark.usefixtures("sdk_guard")
def test_a_tests_own_patches_of_sockets_are_undone_first(monkeypatch):
    """A test's own patches of socket functions are undone after it."""
    fake = object()
    before = socket.getaddrinfo
    with guarded((), "sdk"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", fake)
        anyio.run(lambda: ping(transport=SANDBOX.transport()))
        assert socket.getaddrinfo is fake
    assert socket.getaddrinfo is before


def test_hosts_of_the_sdk_can_be_allowed():
    """A named host may be called; the failure is then the network's own."""
    with guarded([FAR], "sdk"), pytest.raises(CareCloudError):
        anyio.run(lambda: ping(FAR, timeout=0.2, retry=RetryPolicy(attempts=1)))


@pytest.mark.usefixtures("guard")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_let_by(host):
    """A sandbox on a socket of this machine is reached."""

    async def total(url):
        async with CareCloud(url, auth=SANDBOX.credentials()) as client:
            return await client.customers.list().total()

    with SANDBOX.running() as url:
        assert asyncio.run(total(url.replace("127.0.0.1", host))) == 3


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="unix sockets only")
@pytest.mark.usefixtures("guard")
def test_unix_sockets_are_let_by(tmp_path):
    """A socket in the file system is this machine."""
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
        sock.connect(str(tmp_path / "none.sock"))


def test_hosts_can_be_allowed(monkeypatch):
    """A named host may be looked up, and the addresses it stands for connected to; others may not."""
    entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", (FAR, 443))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [entry])
    monkeypatch.setattr(socket.socket, "connect", lambda sock, address: address, raising=False)
    with guarded(["crm.example.com"], "all"):
        socket.create_connection(("CRM.example.com", 443)).close()
        with pytest.raises(HostRefusedError):
            socket.create_connection(("other.example.com", 443))
    with guarded(["*"], "all"):
        socket.create_connection(("other.example.com", 443)).close()


def test_invalid_names_may_be_looked_up(monkeypatch):
    """A `.invalid` name may be looked up, and what a strange resolver makes of it may not be connected to."""
    entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", (FAR, 443))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [entry])
    with guarded((), "all"):
        for host in ("no-such-host.invalid", b"no-such-host.invalid"):
            assert socket.getaddrinfo(host, 443) == [entry]
        with socket.socket() as sock, pytest.raises(HostRefusedError):
            sock.connect((FAR, 443))


def test_guards_nest_and_leave_nothing():
    """Leaving a guard, an inner one first, puts everything back as it was."""
    before = dict(vars(socket.socket)), socket.getaddrinfo
    with guarded((), "all"), guarded((), "sdk"), guarded((), "all"):
        pass
    assert (dict(vars(socket.socket)), socket.getaddrinfo) == before


LEAVES = """
    import errno, socket
    {sdk}

    def test_leaves():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            assert sock.connect_ex(("192.0.2.1", 9)) in {{0, errno.ENETUNREACH, errno.EPERM, errno.EACCES}}
"""


@pytest.mark.parametrize("sdk", [*variants(""), "import carecloud_async.client"])
@pytest.mark.parametrize(
    ("ini", "outcome"),
    [
        ("", "passed"),
        *variants(("carecloud_guard = sdk", "passed")),
        ("carecloud_guard = all", "failed"),
        ("carecloud_guard = all\ncarecloud_allowed_hosts = 192.0.2.1", "passed"),
    ],
)
def test_sockets_of_a_suite_are_guarded_when_asked_for(pytester, sdk, ini, outcome):
    """`carecloud_guard = all` refuses every connection of the suite, and says so; by default only the SDK's."""
    pytester.makeini(f"[pytest]\nasyncio_default_fixture_loop_scope = function\n{ini}\n")
    pytester.makepyfile(LEAVES.format(sdk=sdk))
    # In process, the SDK is loaded already.
    run = pytester.runpytest_inprocess if sdk else pytester.runpytest_subprocess
    result = run(*PLAIN)
    assert result.parseoutcomes() == {outcome: 1}
    said = result.stdout.str()
    assert ("tests may reach loopback" in said) is ("= all" in ini)
    assert ("carecloud_allowed_hosts = 192.0.2.1" in said) is (outcome == "failed")


def test_an_unknown_guard_is_refused(pytester):
    """A misspelled option stops the run."""
    pytester.makeini("[pytest]\ncarecloud_guard = some\n")
    result = pytester.runpytest_inprocess(*PLAIN)
    assert "carecloud_guard is sdk or all, not 'some'" in result.stderr.str()


def test_an_sdk_that_is_loaded_by_a_test_is_guarded(pytester):
    """The guard does not depend on when the SDK is imported, nor on whose transport sends."""
    pytester.makepyfile("""
        import asyncio
        import pytest
        from carecloud_async.pytest_plugin.guard import HostRefusedError

        def test_lazy():
            import httpx
            from carecloud_async import CareCloud, EnterpriseCredentials
            async def call(given):
                me = EnterpriseCredentials(external_application_id="a", login="b", password="c")
                async with CareCloud("192.0.2.1", auth=me, **given) as client:
                    await client.ping()
            refused = pytest.RaisesExc(HostRefusedError, match="this test tried to reach 192.0.2.1")
            for given in ({"transport": httpx.AsyncHTTPTransport()}, {}):
                with pytest.RaisesGroup(refused, allow_unwrapped=True, flatten_subgroups=True):
                    asyncio.run(call(given))
    """)
    assert pytester.runpytest_subprocess(*PLAIN).parseoutcomes() == {"passed": 1}


def test_loading_the_plugin_costs_nothing():
    """Loading the plugin loads neither the SDK nor any library."""
    code = """
        import sys, pytest
        before = set(sys.modules)
        import carecloud_async.pytest_plugin
        print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
        print(*sorted(name for name in sys.modules if name.startswith("carecloud_async")))
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    ).stdout
    top, ours = out.splitlines()
    assert set(top.split()) - sys.stdlib_module_names == {"carecloud_async"}
    plugin = "carecloud_async.pytest_plugin"
    http = "carecloud_async._calls.http"
    assert ours.split() == [
        "carecloud_async", "carecloud_async._calls", http, f"{http}.destinations", "carecloud_async._version",
        plugin, f"{plugin}.guard",
    ]  # fmt: skip
