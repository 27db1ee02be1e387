"""Every write against every way to lose its answer: nothing is done twice, and no error hides what was done."""

from contextlib import asynccontextmanager

import httpx
import pytest
from every import every
from kit import InTurn
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


@asynccontextmanager
async def caller_of(operation_id):
    """Yield what calls an operation on a server that gives these answers in turn, and success from then on.

    It returns the call's error, or `None`, and how often the call was sent.
    """
    server = InTurn()
    transport = httpx.MockTransport(server)
    async with connect("sandbox.example", operation_id, transport=transport, retry=TWICE) as client:

        async def call(*answers):
            server.answers, error = [*answers, success(operation_id)], None
            server.requests.clear()
            try:
                await write(client, operation_id)
            except CareCloudError as raised:
                error = raised
            return error, len(server.requests)

        yield call


@pytest.fixture
def anyio_backend():
    """One backend: the requests end without a wait."""
    return "asyncio"


@every("operation_id", WRITES, thorough=MORE_WRITES)
async def test_a_failed_write_is_never_doubled_nor_hidden(operation_id):
    """If an answer is lost, a POST is not repeated and its error says that it may have happened; a PUT is repeated."""
    async with caller_of(operation_id) as call:
        for failure in FAILURES.values():
            error, sent = await call(failure)
            if OPERATIONS[operation_id].safe_to_repeat:
                assert sent <= 2
            else:
                assert sent == 1
                assert isinstance(error, OutcomeUnknownError)
            if error is not None:
                assert error.may_have_happened
                assert "may have happened" in str(error)


@every("operation_id", WRITES, thorough=MORE_WRITES)
async def test_a_write_without_an_answer_to_any_attempt_may_have_happened(operation_id):
    """However often a write is repeated, the last error says that it may have happened; its cause is what broke."""
    async with caller_of(operation_id) as call:
        for name, failure in FAILURES.items():
            error, _ = await call(failure, failure)
            assert error.may_have_happened
            if not OPERATIONS[operation_id].safe_to_repeat:
                kind = ServerError if name.startswith("5") else ResponseError
                assert isinstance(error, OutcomeUnknownError)
                assert not error.is_retryable
                assert error.__cause__ is None or isinstance(error.__cause__, kind)


@every("operation_id", [name for name in WRITES if OPERATIONS[name].safe_to_repeat])
async def test_a_refused_repeat_does_not_hide_that_the_first_was_stored(operation_id):
    """A repeat that is refused with 400, 404 or 429 keeps `may_have_happened`; a DELETE that finds nothing is done."""
    async with caller_of(operation_id) as call:
        refusals = {400: BadRequestError, 404: NotFoundError, 429: RateLimitError}
        for failure in (FAILURES["reset"], FAILURES["504"], FAILURES["garbage"]):
            for status, kind in refusals.items():
                refused = httpx.Response(status, headers={"Retry-After": "9999"}, content=ERROR)
                error, _ = await call(failure, refused)
                if status == 404 and operation_id.startswith("delete"):
                    assert error is None
                else:
                    assert type(error) is kind
                    assert error.may_have_happened
                    assert "may have happened" in str(error)


@every("operation_id", WRITES)
async def test_a_refused_write_has_not_happened(operation_id):
    """After 400, 403, 404, 429 and a port where no server listens, `may_have_happened` is false."""
    async with caller_of(operation_id) as call:
        refusals = [
            httpx.Response(status, headers={"Retry-After": "9999"}, content=ERROR)
            for status in (400, 403, 404, 429, 301)
        ]
        for refusal in (*refusals, httpx.ConnectError("refused")):
            error, _ = await call(refusal, refusal)
            assert not isinstance(error, OutcomeUnknownError)
            assert not error.may_have_happened


@every("operation_id", SILENT)
async def test_an_answer_without_data_is_empty_or_json_without_an_error(operation_id):
    """Operations that answer 204 take an empty or harmless body for success, and no JSON of another server."""
    async with caller_of(operation_id) as call:
        harmless = (
            b"",
            b"\r\n",
            b"null",
            b"{}",
            b"[]",
            b'{"data": null}',
            b'{"error": null}',
            b'\xef\xbb\xbf{"data": {}}',
        )
        for body in harmless:
            assert (await call((200, body)))[0] is None
        for body in (b'{"message": "ok"}', b"[1]", b'"ok"', b"1"):
            assert (await call((200, body)))[0].may_have_happened


def test_posts_that_are_repeated():
    """A POST is repeated after a lost answer only if a second one does no harm; a list by POST always is."""
    posts = [operation for operation in OPERATIONS.values() if operation.method == "POST" and operation.safe_to_repeat]
    assert {operation.operation_id for operation in posts if operation.result_key is None} == REPEATED


@every("operation_id", READS)
async def test_a_failed_read_has_no_outcome(operation_id):
    """The error of a read, of a search over POST or of a login never says that it may have happened."""
    async with caller_of(operation_id) as call:
        error, _ = await call(FAILURES["504"], FAILURES["504"])
        assert type(error) is ServerError
        assert not error.may_have_happened
        assert error.is_retryable
