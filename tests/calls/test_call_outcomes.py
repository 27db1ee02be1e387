"""Every write against every way to lose its answer: nothing is done twice, and no error hides what was done."""

from contextlib import asynccontextmanager

import httpx
import pytest
from every import every
from write_calls import ERROR, FACTS, HTML, MORE_WRITES, WRITES, connect, success, write

from carecloud_async import (
    BadRequestError,
    CareCloudError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimitError,
    ResponseError,
    RetryPolicy,
    ServerError,
)
from carecloud_async.resources import OPERATIONS

pytestmark = pytest.mark.anyio
#: Writes whose answer has no data.
SILENT = [name for name in WRITES if FACTS[name].answer.kind == "nothing"]
READS = ["getCustomer", "postVoucherGiftCardBalance", "postUserLogin"]
FAILURES = {
    "reset": httpx.ReadError("connection reset"),
    "timeout": httpx.ReadTimeout("no answer"),
    "cut": httpx.RemoteProtocolError("peer closed connection"),
    "500": httpx.Response(500, content=ERROR),
    "502": httpx.Response(502, content=HTML),
    "503": httpx.Response(503, headers={"Retry-After": "0"}),
    "504": httpx.Response(504, content=HTML),
    "404 of a proxy": httpx.Response(404, content=HTML),
    "403 without a body": httpx.Response(403),
    "401 of a proxy": httpx.Response(401, content=HTML),
    "418 of something": httpx.Response(418, content=b'{"message": "no Route matched with those values"}'),
    "garbage": httpx.Response(200, content=b'{"data": {"'),
    "html": httpx.Response(200, content=HTML),
    "error with 200": httpx.Response(200, content=ERROR),
}
#: Every POST that is sent again after a lost answer, except lists: each one searches, or logs in or out. A login by a
#: token for one use is missing: the token would be refused the second time.
REPEATED = {
    "postBookingBusyTimes",
    "postCustomerVerifyCredentials",
    "postCustomerVerifySocialNetworkCredentials",
    "postCustomersCheckRegistrationAbility",
    "postCustomersValidateCustomerData",
    "postToken",
    "postTokenLogin",
    "postTokenLogout",
    "postTokenSocialLogin",
    "postTokenTestCustomerLogin",
    "postUserLogin",
    "postUserLogout",
    "postValidateFreeCard",
    "postValidateIsicCard",
    "postVoucherGiftCardBalance",
}
TWICE = RetryPolicy(attempts=2, base=1e-6)


class Api:
    """A client of one operation, and a server that fails on order.

    Args:
        operation_id: the operation.

    Attributes:
        requests: the number of requests of the last call.
        applied: the number of those that were carried out.
    """

    def __init__(self, operation_id):
        self.operation_id = operation_id
        transport = httpx.MockTransport(self.respond)
        self.client = connect("sandbox.example", operation_id, transport=transport, retry=TWICE)

    async def failed(self, *script):
        """Make the call; return its error, or `None`.

        Args:
            *script: for each request in turn whether it is applied, and its failure; later ones succeed.
        """
        self.script, self.requests, self.applied = list(script), 0, 0
        try:
            await write(self.client, self.operation_id)
        except CareCloudError as error:
            return error

    def respond(self, request):
        self.requests += 1
        applied, failure = self.script.pop(0) if self.script else (True, self.success())
        self.applied += applied
        if isinstance(failure, Exception):
            raise failure
        return httpx.Response(failure.status_code, headers=failure.headers, content=failure.content)

    def success(self):
        status, body = success(self.operation_id)
        return httpx.Response(status, content=body)


@asynccontextmanager
async def api_of(operation_id):
    """The client and server of an operation."""
    made = Api(operation_id)
    async with made.client:
        yield made


@pytest.fixture
def anyio_backend():
    """One backend: the requests end without a wait."""
    return "asyncio"


@every("operation_id", WRITES, thorough=MORE_WRITES)
async def test_a_failed_write_is_never_doubled_nor_hidden(operation_id):
    """If an answer is lost, a POST is not repeated and its error says that it may have happened; a PUT is repeated."""
    async with api_of(operation_id) as api:
        for failure in FAILURES.values():
            for applied in (True, False):
                error = await api.failed((applied, failure))
                if OPERATIONS[operation_id].safe_to_repeat:
                    assert api.requests <= 2
                else:
                    assert api.requests == 1
                    assert isinstance(error, OutcomeUnknownError)
                if error is None:
                    assert api.applied
                else:
                    assert error.may_have_happened
                    assert "may have happened" in str(error)


@every("operation_id", WRITES, thorough=MORE_WRITES)
async def test_a_write_without_an_answer_to_any_attempt_may_have_happened(operation_id):
    """However often a write is repeated, the last error says that it may have happened; its cause is what broke."""
    async with api_of(operation_id) as api:
        for name, failure in FAILURES.items():
            for applied in (True, False):
                error = await api.failed((applied, failure), (applied, failure))
                assert error.may_have_happened
                if not OPERATIONS[operation_id].safe_to_repeat:
                    kind = ServerError if name.startswith("5") else ResponseError
                    assert isinstance(error, OutcomeUnknownError)
                    assert not error.is_retryable
                    assert error.__cause__ is None or isinstance(error.__cause__, kind)


@every("operation_id", [name for name in WRITES if OPERATIONS[name].safe_to_repeat])
async def test_a_refused_repeat_does_not_hide_that_the_first_was_stored(operation_id):
    """A repeat that is refused with 400, 404 or 429 keeps `may_have_happened`; a DELETE that finds nothing is done."""
    async with api_of(operation_id) as api:
        refusals = {400: BadRequestError, 404: NotFoundError, 429: RateLimitError}
        for failure in (FAILURES["reset"], FAILURES["504"], FAILURES["garbage"]):
            for status, kind in refusals.items():
                refused = httpx.Response(status, headers={"Retry-After": "9999"}, content=ERROR)
                error = await api.failed((True, failure), (False, refused))
                if status == 404 and operation_id.startswith("delete"):
                    assert error is None
                else:
                    assert type(error) is kind
                    assert error.may_have_happened
                    assert "may have happened" in str(error)


@every("operation_id", WRITES)
async def test_a_refused_write_has_not_happened(operation_id):
    """After 400, 403, 404, 429 and a port where no server listens, `may_have_happened` is false."""
    async with api_of(operation_id) as api:
        refusals = [
            httpx.Response(status, headers={"Retry-After": "9999"}, content=ERROR)
            for status in (400, 403, 404, 429, 301)
        ]
        for refusal in (*refusals, httpx.ConnectError("refused")):
            error = await api.failed((False, refusal), (False, refusal))
            assert not isinstance(error, OutcomeUnknownError)
            assert not error.may_have_happened


@every("operation_id", SILENT)
async def test_an_answer_without_data_is_empty_or_json_without_an_error(operation_id):
    """Operations that answer 204 take an empty or harmless body for success, and no JSON of another server."""
    async with api_of(operation_id) as api:
        for body in (
            b"",
            b"\r\n",
            b"null",
            b"{}",
            b"[]",
            b'{"data": null}',
            b'{"error": null}',
            b'\xef\xbb\xbf{"data": {}}',
        ):
            answer = httpx.Response(200, content=body)
            assert await api.failed((True, answer)) is None
        for body in (b'{"message": "ok"}', b"[1]", b'"ok"', b"1"):
            answer = httpx.Response(200, content=body)
            assert (await api.failed((True, answer))).may_have_happened


def test_posts_that_are_repeated():
    """A POST is repeated after a lost answer only if a second one does no harm; a list by POST always is."""
    posts = [operation for operation in OPERATIONS.values() if operation.method == "POST" and operation.safe_to_repeat]
    assert {operation.operation_id for operation in posts if operation.result_key is None} == REPEATED


@every("operation_id", READS)
async def test_a_failed_read_has_no_outcome(operation_id):
    """The error of a read, of a search over POST or of a login never says that it may have happened."""
    async with api_of(operation_id) as api:
        error = await api.failed((False, FAILURES["504"]), (False, FAILURES["504"]))
        assert type(error) is ServerError
        assert not error.may_have_happened
        assert error.is_retryable
