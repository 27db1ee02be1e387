"""The guard of the pytest plugin: loopback only, unless configured."""

import asyncio
import socket
import subprocess
import sys
import textwrap

import anyio
import pytest

from carecloud_async import CareCloud
from carecloud_async.pytest_plugin.guard import HostRefusedError, guarded
from carecloud_async.sandbox import Sandbox

pytest_plugins = ["pytester"]

SANDBOX = Sandbox(customers=3)
#: The SDK is loaded before the test that leaves the machine, or after it, which is rarer.
ORDERS = [
    ("test_leaves.py", "test_sdk.py"),
    pytest.param(("test_sdk.py", "test_leaves.py"), marks=pytest.mark.thorough),
]
#: Addresses that are reserved for documentation: nobody answers there.
FAR = "192.0.2.1"


@pytest.fixture
def guard():
    with guarded(()):
        yield


@pytest.mark.usefixtures("guard")
@pytest.mark.parametrize("host", [FAR, "2001:db8::1", "crm.example.com"])
def test_other_hosts_are_refused(host):
    """Names and addresses that are not this machine are refused before anything is sent, with the way out named."""
    with pytest.raises(HostRefusedError, match="carecloud_network") as caught:
        socket.create_connection((host, 443), timeout=1)
    assert host in str(caught.value)


@pytest.mark.usefixtures("guard")
@pytest.mark.parametrize("how", ["connect", "connect_ex"])
def test_sockets_are_guarded(how):
    """Both ways to connect a socket are guarded."""
    with socket.socket() as sock, pytest.raises(HostRefusedError):
        getattr(sock, how)((FAR, 443))


@pytest.mark.usefixtures("guard")
def test_datagrams_are_guarded():
    """A datagram needs no connection, and is guarded all the same."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        with pytest.raises(HostRefusedError):
            sock.sendto(b"x", (FAR, 53))
        with pytest.raises(HostRefusedError):
            sock.sendto(b"x", 0, (FAR, 53))
        assert sock.sendto(b"x", ("127.0.0.1", 9)) == 1


@pytest.mark.usefixtures("guard")
@pytest.mark.parametrize("lookup", ["gethostbyname", "gethostbyname_ex"])
def test_older_lookups_are_guarded(lookup):
    """Names are not looked up in the older ways either."""
    with pytest.raises(HostRefusedError):
        getattr(socket, lookup)("crm.example.com")
    getattr(socket, lookup)("localhost")


@pytest.mark.usefixtures("guard")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_forgotten_client_is_refused_at_once(backend):
    """A client of a real project fails on its first call with the guard's own error, and does not repeat it."""
    looked_up = []

    async def ping():
        async with CareCloud("crm.example.com", auth=SANDBOX.credentials(), on_call=looked_up.append) as client:
            await client.ping()

    with pytest.raises(HostRefusedError):
        anyio.run(ping, backend=backend)


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
    with guarded(["crm.example.com"]):
        socket.create_connection(("CRM.example.com", 443)).close()
        with pytest.raises(HostRefusedError):
            socket.create_connection(("other.example.com", 443))
    with guarded(["*"]):
        socket.create_connection(("other.example.com", 443)).close()


def test_names_that_stand_for_nothing(monkeypatch):
    """A `.invalid` name may be looked up, and what a strange resolver makes of it may not be connected to."""
    entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", (FAR, 443))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [entry])
    with guarded(()):
        for host in ("no-such-host.invalid", b"no-such-host.invalid"):
            assert socket.getaddrinfo(host, 443) == [entry]
        with socket.socket() as sock, pytest.raises(HostRefusedError):
            sock.connect((FAR, 443))


def test_guards_nest_and_leave_nothing():
    """Leaving a guard, an inner one first, puts everything back as it was."""
    before = dict(vars(socket.socket)), socket.getaddrinfo
    with guarded(()), guarded(()):
        pass
    assert (dict(vars(socket.socket)), socket.getaddrinfo) == before


def outcome_of(pytester, sdk, *order):
    """Run a test that leaves the machine and one that does `sdk`, in this order."""
    lookup = """
        import errno, socket

        def test_leaves():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                try:
                    sock.sendto(b"x", ("192.0.2.1", 9))
                except OSError as error:
                    assert error.errno in {errno.ENETUNREACH, errno.EPERM, errno.EACCES}
    """
    pytester.makepyfile(test_leaves=lookup, test_sdk=sdk)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *order)
    return result.parseoutcomes(), result.stdout.str()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "sdk", ["import carecloud_async", pytest.param("from carecloud_async import CareCloud", marks=pytest.mark.thorough)]
)
def test_a_suite_that_imports_the_sdk_is_guarded_in_any_order(pytester, sdk, order):
    """Whether a test may leave the machine does not depend on which tests ran before it."""
    outcomes, said = outcome_of(pytester, f"{sdk}\n\ndef test_sdk():\n    pass\n", *order)
    assert outcomes == {"failed": 1, "passed": 1}
    assert "tests may reach loopback only" in said
    assert "carecloud_allowed_hosts = 192.0.2.1" in said


@pytest.mark.parametrize("order", ORDERS)
def test_suites_without_the_sdk_are_left_alone(pytester, order):
    """A suite that does not import the SDK when it is collected is not guarded, whatever its tests load later."""
    lazily = "def test_sdk():\n    import carecloud_async.client\n"
    outcomes, said = outcome_of(pytester, lazily, *order)
    assert outcomes == {"passed": 2}
    assert "may reach" not in said


def test_a_host_of_the_suites_own_is_allowed_by_its_configuration(pytester):
    """The hosts that the configuration names are reached, and the line above the tests names them."""
    pytester.makeini("[pytest]\ncarecloud_allowed_hosts = 192.0.2.1\n")
    outcomes, said = outcome_of(pytester, "import carecloud_async\n\ndef test_sdk():\n    pass\n")
    assert outcomes == {"passed": 2}
    assert "loopback, 192.0.2.1 only" in said


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
    assert ours.split() == ["carecloud_async", "carecloud_async._version", plugin, f"{plugin}.guard"]
