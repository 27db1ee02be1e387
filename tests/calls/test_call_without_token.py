"""Operations that need no token by the API's description: some servers want one all the same."""

import attrs
import httpx
import pytest

from carecloud_async import AuthenticationError, AuthProvider, CareCloud, RetryPolicy, Token
from carecloud_async.pytest_plugin.clock import FakeClock
from carecloud_async.resources import OPERATIONS
from tests.contract import manifest
from tests.contract.arguments import call_of
from tests.sandbox.contract_shapes import body_of

pytestmark = pytest.mark.anyio
FACTS = manifest.load().operations
OPEN = [name for name, one in OPERATIONS.items() if not one.authorized and not one.takes_credentials]
LOGINS = [name for name, one in OPERATIONS.items() if one.takes_credentials]


@attrs.frozen
class Somebody(AuthProvider):
    """An identity that makes a new token for each login."""

    interface: str
    tokens: list = attrs.field(factory=list, eq=False)

    @property
    def identity_key(self):
        return "somebody"

    async def obtain(self, send, previous):
        self.tokens.append(f"token{len(self.tokens)}")
        return Token(self.tokens[-1])


def strict(sent, *accepted):
    """A server that answers 401 to every token but the accepted ones, and to none."""

    def respond(request):
        sent.append(request.headers.get("authorization"))
        if sent[-1] not in {f"Bearer {one}" for one in accepted}:
            return httpx.Response(401)
        name = request.url.path.rpartition("/")[2].replace("-", "_")
        data = {name: [], "total_items": 0, "token_id": "t", "is_valid": True, "test_string": "x"}
        return httpx.Response(200, json={"data": data})

    return respond


def connect(operation_id, respond, user_client=False, **more):
    interface = "customer" if FACTS[operation_id].interface == "customer" else "enterprise"
    transport = httpx.MockTransport(respond)
    options = {"http_client": httpx.AsyncClient(transport=transport)} if user_client else {"transport": transport}
    return CareCloud("x.example.com", auth=Somebody(interface), retry=RetryPolicy(attempts=1), **options, **more)


async def call(client, operation_id):
    facts = FACTS[operation_id]
    found = call_of(client, operation_id, ids=dict.fromkeys(facts.path_names, "x"), values=body_of(facts))
    result = found.method(**found.arguments)
    return await (result.page() if hasattr(result, "page") else result)


@pytest.mark.parametrize("operation_id", OPEN)
async def test_a_server_that_wants_a_token_gets_one(operation_id):
    """Asked without a token; after a 401 asked once more with one."""
    for user_client in (False, True):
        sent = []
        async with connect(operation_id, strict(sent, "token0"), user_client) as client:
            await call(client, operation_id)
        assert sent == [None, "Bearer token0"]


@pytest.mark.parametrize("operation_id", OPEN)
async def test_a_server_that_refuses_every_token_is_quoted_truly(operation_id):
    """If the token is refused too, the error says so, after two requests; a call right after it does not log in."""
    sent = []
    async with connect(operation_id, strict(sent)) as client:
        for _ in range(2):
            with pytest.raises(AuthenticationError, match="without a token, and with the current token too"):
                await call(client, operation_id)
    assert sent == [None, "Bearer token0"] * 2


@pytest.mark.parametrize("operation_id", ["getLanguages", "postToken"])
async def test_a_refused_old_token_is_renewed_by_the_next_call(operation_id):
    """Each call is sent twice at most: the one that finds the token revoked fails, and the next one has a new token."""
    sent, accepted = [], ["token0"]
    clock = FakeClock()
    async with connect(operation_id, lambda request: strict(sent, *accepted)(request), clock=clock) as client:
        await call(client, operation_id)
        clock.advance(600)
        accepted[:] = ["token1"]
        with pytest.raises(AuthenticationError):
            await call(client, operation_id)
        await call(client, operation_id)
    assert sent == [None, "Bearer token0"] * 2 + [None, "Bearer token1"]


@pytest.mark.parametrize("operation_id", LOGINS)
async def test_refused_credentials_are_sent_once(operation_id):
    """The 401 of a login is about the credentials in its body: it is not tried again, and the error says so."""
    sent = []
    async with connect(operation_id, strict(sent)) as client:
        with pytest.raises(AuthenticationError, match="credentials in the call were refused"):
            await call(client, operation_id)
    assert sent == [None]
