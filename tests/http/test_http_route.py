"""Proxies and certificates on the default transport, on asyncio and on trio."""

import base64
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
import anyio.streams.tls
import pytest
import trustme
from anyio.abc import SocketAttribute
from kit import KnownUser

from benchmarks.api_rules import broken_rules
from carecloud_async import CareCloud, ConfigurationError, ConnectionFailedError, RetryPolicy, fixes
from carecloud_async.sandbox import Sandbox

pytestmark = pytest.mark.anyio
#: A project that only these tests' own proxies lead to.
FAR = "crm.example.com"
QUICK = RetryPolicy(attempts=3, base=0.001)
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies_from_outside(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@asynccontextmanager
async def listening(handle, *, tls=None):
    """Serve connections on loopback; yields the port."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)
    serving = listener if tls is None else anyio.streams.tls.TLSListener(listener, tls, standard_compatible=False)

    async def handled(stream):
        async with stream:
            try:
                await handle(stream)
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async with serving, anyio.create_task_group() as group:
        group.start_soon(serving.serve, handled)
        yield port
        group.cancel_scope.cancel()


def pipe(source, target):
    async def run():
        try:
            async for data in source:
                await target.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        await target.aclose()

    return run


@asynccontextmanager
async def secure_sandbox(authority, host="localhost", **dates):
    """A sandbox behind TLS, with a certificate of the authority; yields it and its port."""
    sandbox = Sandbox(10)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, **dates).configure_cert(context)
    async with sandbox.serving() as url:
        plain = int(url.rpartition(":")[2])

        async def handle(stream):
            async with await anyio.connect_tcp("127.0.0.1", plain) as inner, anyio.create_task_group() as group:
                group.start_soon(pipe(stream, inner))
                await pipe(inner, stream)()
                group.cancel_scope.cancel()

        async with listening(handle, tls=context) as port:
            yield sandbox, port


class Proxy:
    """A CONNECT proxy on loopback that leads every tunnel to one port."""

    def __init__(self, port, *, answer=b"HTTP/1.1 200 Connection established\r\n\r\n"):
        self.port = port
        self.answer = answer
        self.requests = []

    async def handle(self, stream):
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive()
        self.requests.append(head)
        await stream.send(self.answer)
        if b" 200 " not in self.answer:
            return
        async with await anyio.connect_tcp("127.0.0.1", self.port) as inner, anyio.create_task_group() as group:
            group.start_soon(pipe(stream, inner))
            await pipe(inner, stream)()
            group.cancel_scope.cancel()


def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def connect(url, authority, **options):
    options = {"auth": Sandbox(1).credentials(), "verify": trusting(authority), "retry": QUICK, **options}
    return CareCloud(url, **options)


@asynccontextmanager
async def far_sandbox(authority, *, proxy_tls=None):
    """A sandbox that only a proxy leads to; yields the sandbox, the proxy and the proxy's port."""
    async with secure_sandbox(authority, FAR) as (sandbox, port):
        proxy = Proxy(port)
        async with listening(proxy.handle, tls=proxy_tls) as proxy_port:
            yield sandbox, proxy, proxy_port


@pytest.mark.parametrize("how", ["argument", "HTTPS_PROXY", "with password"])
@pytest.mark.carecloud_network(FAR)
async def test_calls_go_through_a_connect_proxy(authority, monkeypatch, how):
    """`proxy=` and the environment's proxy carry the calls; TLS stays between client and server."""
    async with far_sandbox(authority) as (sandbox, proxy, proxy_port):
        address = f"http://127.0.0.1:{proxy_port}"
        options = {}
        if how == "argument":
            options["proxy"] = address
        elif how == "with password":
            options["proxy"] = f"http://user:secret@127.0.0.1:{proxy_port}"
        else:
            monkeypatch.setenv(how, address)
        async with connect(FAR, authority, **options) as client:
            await client.ping()
        assert sandbox.count() == 2
        assert broken_rules(sandbox) == []
        assert proxy.requests[0].startswith(b"CONNECT crm.example.com:443 ")
        assert b"Bearer" not in b"".join(proxy.requests)
        if how == "with password":
            assert b"basic " + base64.b64encode(b"user:secret") in proxy.requests[0].replace(b"Basic", b"basic")


@pytest.mark.parametrize(
    "anyio_backend", ["asyncio", "trio", pytest.param(("asyncio", {"use_uvloop": True}), marks=pytest.mark.thorough)]
)
@pytest.mark.carecloud_network(FAR)
async def test_calls_go_through_a_proxy_that_is_reached_over_tls(authority):
    """An `https://` proxy with a password: one TLS within the other, and a page of many records."""
    proxy_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(proxy_tls)
    async with far_sandbox(authority, proxy_tls=proxy_tls) as (sandbox, proxy, proxy_port):
        address = f"https://user:secret@localhost:{proxy_port}"
        async with connect(FAR, authority, proxy=address) as client:
            assert (await client.customers.list(count=10).page()).received == 10
        assert broken_rules(sandbox) == []
        assert len(proxy.requests) == 1


@pytest.mark.carecloud_network(FAR)
async def test_a_context_that_offers_http_2_too_is_used_for_http_1(authority):
    """A context that the user's other client has set up for HTTP/2: the server is offered HTTP/1.1 alone."""
    context = trusting(authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    offered = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    offered.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert("localhost").configure_cert(offered)
    chosen = []

    async def handle(stream):
        chosen.append(stream.extra(anyio.streams.tls.TLSAttribute.alpn_protocol))

    async with (
        listening(handle, tls=offered) as port,
        connect(f"https://localhost:{port}", authority, verify=context, auth=KnownUser()) as client,
    ):
        with pytest.raises(ConnectionFailedError):
            await client.ping()
    assert set(chosen) == {"http/1.1"}


async def test_no_proxy_goes_straight(authority, monkeypatch):
    """A host in NO_PROXY is reached without the proxy of the environment."""
    async with secure_sandbox(authority) as (sandbox, port):
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "localhost")
        async with connect(f"https://localhost:{port}", authority) as client:
            await client.ping()
        assert sandbox.count() == 2


@pytest.mark.parametrize("status", [b"407 Proxy Authentication Required", b"403 Forbidden"])
@pytest.mark.carecloud_network(FAR)
async def test_a_proxy_that_refuses_is_named_and_not_asked_again(authority, status):
    """The message says that it is the proxy; neither its address nor its password is shown."""
    proxy = Proxy(9, answer=b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
    async with listening(proxy.handle) as port:
        async with connect("crm.example.com", authority, proxy=f"http://user:secret@127.0.0.1:{port}") as client:
            with pytest.raises(ConnectionFailedError, match=f"the proxy refuses with {status[:3].decode()}") as caught:
                await client.ping()
        assert "secret" not in str(caught.value)
        assert len(proxy.requests) == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # httpx2, on trio, does not say at which request it was
@pytest.mark.parametrize("answered", [b"", b"nonsense\r\n\r\n"], ids=["hangs up", "speaks no HTTP"])
@pytest.mark.carecloud_network(FAR)
async def test_what_a_proxy_fails_to_lead_on_was_not_sent(authority, answered):
    """Where the proxy ends before its tunnel is open, a POST did not happen, and is sent again."""
    proxy = Proxy(9, answer=answered)
    async with listening(proxy.handle) as port:
        address = f"http://user:secret@127.0.0.1:{port}"
        async with connect("crm.example.com", authority, auth=KnownUser(), proxy=address) as client:
            with pytest.raises(ConnectionFailedError, match="not reached") as caught:
                await client.request("POST", "customers", json={})
        assert not caught.value.may_have_happened
        assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
        assert len(proxy.requests) == QUICK.attempts


@pytest.mark.parametrize(
    ("kind", "fix"),
    [
        ("unknown authority", fixes.PRIVATE_CA),
        ("wrong host", fixes.PROJECT_URL),
        ("expired", fixes.DATES),
        ("not yet valid", fixes.DATES),
    ],
)
async def test_a_bad_certificate_names_the_fix_and_is_final(authority, kind, fix):
    """A bad certificate is a ConnectionFailedError after one try; `verify=` is a fix only if its issuer is unknown."""
    host = "other.example" if kind == "wrong host" else "localhost"
    trusted = trustme.CA() if kind == "unknown authority" else authority
    past, future = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2100))
    dates = {"expired": {"not_after": past}, "not yet valid": {"not_before": future, "not_after": future}}
    async with secure_sandbox(authority, host, **dates.get(kind, {})) as (sandbox, port):
        async with connect(f"https://localhost:{port}", trusted, retry=RetryPolicy(base=30)) as client:
            with anyio.fail_after(60), pytest.raises(ConnectionFailedError, match="certificate") as caught:
                await client.ping()
        assert caught.value.fix == fix
        assert not caught.value.is_retryable
        assert sandbox.count() == 0


async def test_verify_takes_a_path_a_context_and_false(authority, tmp_path):
    """A CA bundle's path, a directory with it, no check at all."""
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    async with secure_sandbox(authority) as (_, port):
        for verify in (str(bundle), bundle, False):
            async with connect(f"https://localhost:{port}", authority, verify=verify) as client:
                await client.ping()


@pytest.mark.parametrize("given", [True, False])
async def test_a_bundle_that_cannot_be_read_is_a_configuration_error(authority, tmp_path, monkeypatch, given):
    """A file with nonsense, or an `SSL_CERT_FILE` that is missing, is named at the first call."""
    bundle = tmp_path / "ca.pem"
    bundle.write_text("nonsense")
    monkeypatch.setenv("SSL_CERT_FILE", "no/such.pem")
    words = "verify names a CA bundle that" if given else "SSL_CERT_FILE names a CA bundle that cannot be read: No such"
    async with connect("https://localhost:9", authority, verify=str(bundle) if given else True) as client:
        with pytest.raises(ConfigurationError, match=words):
            await client.ping()


async def test_https_to_a_plain_port_is_final(authority):
    """A server that does not speak TLS is an error at once."""
    sandbox = Sandbox(5)
    async with (
        sandbox.serving() as url,
        connect(url.replace("http:", "https:"), authority, retry=RetryPolicy(base=30)) as client,
    ):
        with anyio.fail_after(60), pytest.raises(ConnectionFailedError, match="TLS failed"):
            await client.ping()


async def test_a_host_that_does_not_exist_is_final(authority):
    """A typo in the address must not cost half a minute."""
    async with connect("no-such-host.invalid", authority, retry=RetryPolicy(base=30)) as client:
        with anyio.fail_after(60), pytest.raises(ConnectionFailedError) as caught:
            await client.ping()
        if "EAI" not in str(caught.value):  # without a resolver there is no such answer
            assert "there is no such host): check project_url" in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "url", "is_proxied"),
    [
        ({"HTTPS_PROXY": "http://PROXY"}, FAR, True),
        ({"https_proxy": "PROXY"}, FAR, True),
        ({"HTTP_PROXY": "http://PROXY"}, FAR, False),
        ({"ALL_PROXY": "http://PROXY"}, FAR, True),
        ({"HTTPS_PROXY": "http://PROXY", "NO_PROXY": "other"}, FAR, True),
        ({"HTTPS_PROXY": "http://PROXY", "NO_PROXY": ".example.com"}, FAR, False),
        ({"HTTPS_PROXY": "http://PROXY", "NO_PROXY": "*"}, FAR, False),
        ({"HTTPS_PROXY": "http://PROXY", "NO_PROXY": "127.0.0.1:1"}, "https://127.0.0.1:1", False),
        ({"HTTPS_PROXY": "http://PROXY", "NO_PROXY": "::1"}, "https://[::1]:1", False),
    ],
)
@pytest.mark.carecloud_network(FAR, "::1")
async def test_the_environments_proxy(authority, monkeypatch, variables, url, is_proxied):
    """HTTPS_PROXY, ALL_PROXY and NO_PROXY as everywhere."""
    proxy = Proxy(9, answer=b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    async with listening(proxy.handle) as port:
        for name, value in variables.items():
            monkeypatch.setenv(name, value.replace("PROXY", f"127.0.0.1:{port}"))
        async with connect(url, authority, auth=KnownUser(), retry=RetryPolicy(attempts=1)) as client:
            with pytest.raises(ConnectionFailedError):
                await client.ping()
    assert bool(proxy.requests) is is_proxied


def test_a_socks_proxy_of_the_environment_is_refused(monkeypatch):
    """A SOCKS proxy of the environment is refused: it cannot be used, and bypassing it silently would be worse."""
    monkeypatch.setenv("ALL_PROXY", "socks5://user:secret@p:1")
    with pytest.raises(ConfigurationError, match=r"the environment's proxy .* SOCKS") as caught:
        CareCloud("crm.example.com", auth=KnownUser())
    assert "secret" not in str(caught.value)
