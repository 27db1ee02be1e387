"""Operations that need no token by the API's description: some servers want one all the same."""

from contextlib import nullcontext

import attrs
import httpx
import pytest

from carecloud_async import AuthenticationError, AuthProvider, CareCloud, RetryPolicy, Token
from carecloud_async.resources import OPERATIONS
from tests.contract import manifest
from tests.contract.arguments import call_of
from tests.sandbox.contract_shapes import body_of

pytestmark = pytest.mark.anyio
FACTS = manifest.load().operations
OPEN = [name for name, operation in OPERATIONS.items() if not operation.authorized and not operation.takes_credentials]
LOGINS = [name for name, operation in OPERATIONS.items() if operation.takes_credentials]


@attrs.frozen
class RenewedUser(AuthProvider):
    """An identity that makes a new token for each login."""

    interface: str
    tokens: list = attrs.field(factory=list, eq=False)

    @property
    def identity_key(self):
        return "renewed user"

    async def obtain(self, send, previous):
        self.tokens.append(f"token{len(self.tokens)}")
        return Token(self.tokens[-1])


def strict(sent, *accepted):
    """A server that answers 401 to every token but the accepted ones, and to none."""

    def respond(request):
        sent.append(request.headers.get("authorization"))
        if sent[-1] not in {f"Bearer {token}" for token in accepted}:
            return httpx.Response(401, json={"error": {"exception": "unauthorized_exception"}})
        name = request.url.path.rpartition("/")[2].replace("-", "_")
        data = {name: [], "total_items": 0, "token_id": "t", "is_valid": True, "test_string": "x"}
        return httpx.Response(200, json={"data": data})

    return respond


def connect(operation_id, respond, user_client=False):
    interface = "customer" if FACTS[operation_id].interface == "customer" else "enterprise"
    transport = httpx.MockTransport(respond)
    options = {"http_client": httpx.AsyncClient(transport=transport)} if user_client else {"transport": transport}
    return CareCloud("x.example.com", auth=RenewedUser(interface), retry=RetryPolicy(attempts=1), **options)


async def call(client, operation_id):
    facts = FACTS[operation_id]
    prepared = call_of(client, operation_id, ids=dict.fromkeys(facts.path_names, "x"), values=body_of(facts))
    result = prepared.method(**prepared.arguments)
    return await (result.page() if hasattr(result, "page") else result)


@pytest.mark.parametrize("operation_id", OPEN)
async def test_a_server_that_wants_a_token_gets_one(operation_id):
    """Asked without a token, after a 401 with one, then with a renewed one; where that is refused the error says so."""
    shown = [None, "Bearer token0", "Bearer token1"]
    for accepted, requests in ((["token0"], 2), (["token1"], 3), ([], 3)):
        for user_client in (False, True):
            sent = []
            async with connect(operation_id, strict(sent, *accepted), user_client) as client:
                with nullcontext() if accepted else pytest.raises(AuthenticationError, match="just renewed"):
                    await call(client, operation_id)
            assert sent == shown[:requests]


@pytest.mark.parametrize("operation_id", LOGINS)
async def test_refused_credentials_are_sent_once(operation_id):
    """The 401 of a login is about the credentials in its body: it is not tried again, and the error says so."""
    sent = []
    async with connect(operation_id, strict(sent)) as client:
        with pytest.raises(AuthenticationError, match="credentials in the call were refused"):
            await call(client, operation_id)
    assert sent == [None]
