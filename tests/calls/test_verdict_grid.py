"""The grid: what each family of calls makes of each answer that CareCloud did not write; none is a verdict."""

import pytest
from every import every
from thorough import is_thorough
from verdict_families import LOGINS, READS, ROWS

from carecloud_async import (
    CareCloudError,
    OutcomeUnknownError,
    RateLimitError,
    ResponseError,
    ServerError,
)

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]  # none depends on it

BODIES = {
    "HTML": b"<html><head><title>Access denied</title></head><body>Request blocked</body></html>",
    "empty": b"",
    "text": b"upstream connect error",
    "JSON": b'{"message": "no Route matched with those values"}',
    "{}": b"{}",
}
STATUSES = (400, 401, 403, 404, 405, 410, 418, 451, 429, 500, 502, 503, 504, 200)
CELLS = [(status, name) for status in STATUSES for name in BODIES]
#: Without `--thorough`: every status with one body, and every body with one status of each kind.
TRIED = [cell for cell in CELLS if is_thorough() or cell[0] in (200, 403, 404, 502) or cell[1] == "HTML"]
#: A run of a bulk write costs as much as a hundred calls.
ROW_CELLS = [*((status, "HTML") for status in (400, 403, 404, 429, 502, 200)), (404, "{}"), (200, "{}")]
TRIED_OF_ROWS = [cell for cell in ROW_CELLS if is_thorough() or cell[0] in (403, 502, 200)]


async def result_of(family, status, name):
    """Return the error of a cell, or what the call returned."""
    async with family.connect((status, BODIES[name])) as client:
        try:
            return await family.call(client)
        except CareCloudError as error:
            return error


def expected(status):
    """Return the error that an answer which CareCloud did not write means, by its status alone."""
    if status == 429:
        return RateLimitError
    return ServerError if status >= 500 else ResponseError


@every("family", READS + LOGINS, ids=lambda family: family.name)
async def test_no_answer_of_another_server_is_a_verdict_on_a_record_a_login_or_a_right(family):
    """Reads, look-ups and logins end with the error of an answer that says nothing, whatever its status and body."""
    for status, name in TRIED:
        error = await result_of(family, status, name)
        lost = error.__cause__ if isinstance(error, OutcomeUnknownError) else error
        assert type(lost) is expected(status), (status, name, error)


@every("family", ROWS, ids=lambda family: family.name)
async def test_no_answer_of_another_server_refuses_a_row(family):
    """A row whose write or look-up got such an answer, and no other one did, has more tries before it is refused."""
    for status, name in TRIED_OF_ROWS:
        report = await result_of(family, status, name)
        if isinstance(report, CareCloudError):
            assert type(report) is RateLimitError
            assert status == 429
        elif name in {"empty", "{}"} and status == 200 and "changed" in family.name:
            assert report.updated == 1
        else:
            # Three times alone for the same 5xx, twenty times for anything else: see docs/bulk_writes.md.
            assert report.refused == 1, (status, name, report)
            assert report.requests > (3 if status == 502 else 20), (status, name, report)
