"""HTTP/2, which a client of the user's may speak: answers that break its rules, and the log of its headers."""

import logging

import httpx
import httpx2
import pytest
from kit import KnownUser

from carecloud_async import CareCloud, OutcomeUnknownError

pytestmark = pytest.mark.anyio

FAMILIES = pytest.mark.parametrize("family", [httpx, httpx2], ids=lambda family: family.__name__)


class BrokenFrameError(Exception):
    """Stands for what h2 raises for a frame that its protocol does not allow."""


BrokenFrameError.__module__ = "h2.exceptions"


def connect(family, handle):
    http_client = family.AsyncClient(transport=family.MockTransport(handle))
    return CareCloud("x.example.com", auth=KnownUser(), http_client=http_client)


@FAMILIES
async def test_a_write_whose_answer_breaks_the_protocol_may_have_happened(family):
    """The library raises the same for it as for a request that cannot be sent: h2's own error tells them apart."""
    requests = []

    def handle(request):
        requests.append(request)
        raise family.LocalProtocolError("broken") from BrokenFrameError()

    async with connect(family, handle) as client:
        with pytest.raises(OutcomeUnknownError, match="not valid HTTP"):
            await client.request("POST", "/customers", json={"a": 1})
    assert len(requests) == 1


@FAMILIES
async def test_the_headers_of_http_2_are_in_no_log(family, caplog):
    """The log of hpack has the true path and query; its records of the user's own requests stay."""
    caplog.set_level(logging.DEBUG)

    def handle(request):
        logging.getLogger("hpack.hpack").debug("Adding :path=%s to the header table", request.url.raw_path)
        logging.getLogger("hpack.table").debug("Evicting %s from the header table", request.url.raw_path)
        return family.Response(200, json={"data": {"customers": [], "total_items": 0}})

    async with connect(family, handle) as client:
        await client.customers.list(email="planted@example.com").collect(limit=10)
    assert "planted" not in caplog.text
    logging.getLogger("hpack.hpack").debug("Adding %s", "own")
    assert "own" in caplog.text
