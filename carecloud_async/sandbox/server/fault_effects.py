"""Effects of faults on answers."""

from __future__ import annotations

from typing import Final

import attrs

from carecloud_async.sandbox.api.answers import Answer, json_answer
from carecloud_async.sandbox.api.problems import server_error
from carecloud_async.sandbox.server.faults import ArmedFault

HTML: Final = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>nginx</h1></body></html>"
_WITHOUT_DOCUMENTED_BODY: Final = frozenset({429, 502, 503, 504})


class ConnectionCutError(Exception):
    """The connection must be cut now; the transport that sends the answer does it.

    Args:
        answer: The answer of which half is sent; `None` sends nothing.
    """

    def __init__(self, answer: Answer | None) -> None:
        super().__init__("the sandbox was configured to cut the connection")
        self.answer = answer


def answer_instead(fault: ArmedFault) -> Answer:
    """The answer of a fault that does no work.

    Raises:
        ConnectionCutError: The fault cuts the connection.
    """
    if fault.cut:
        raise ConnectionCutError(None)
    status = fault.status or 200
    plain = Answer(status=status)
    if status >= 400 and status not in _WITHOUT_DOCUMENTED_BODY:
        plain = json_answer({"error": server_error(status).error}, status=status)
    return damaged(plain, fault)


def damaged(answer: Answer, fault: ArmedFault) -> Answer:
    """The answer after the work, changed by the fault.

    Raises:
        ConnectionCutError: The fault cuts the connection.
    """
    if fault.cut == "half":
        raise ConnectionCutError(answer)
    if fault.cut:
        raise ConnectionCutError(None)
    body, content_type = _damaged_body(answer, fault)
    headers = list(fault.headers)
    if fault.retry_after is not None:
        after = fault.retry_after
        headers.append(("retry-after", after if isinstance(after, str) else f"{after:g}"))
    # A 204 cannot have the body that the fault adds.
    status = 200 if answer.status == 204 and body else answer.status
    return attrs.evolve(
        answer,
        status=fault.status or status,
        body=body,
        content_type=content_type,
        headers=(*answer.headers, *headers),
    )


def _damaged_body(answer: Answer, fault: ArmedFault) -> tuple[bytes, str | None]:
    if fault.body is not None:
        return fault.body, answer.content_type or "application/json"
    if fault.html:
        return HTML, "text/html"
    if fault.garbage:
        return answer.body[: len(answer.body) // 2] + b"\x00{garbage", "application/json"
    if fault.no_data:
        return b'{"result":"ok"}', "application/json"
    return answer.body, answer.content_type
