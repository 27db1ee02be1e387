"""Quiet about our calls in httpcore's log: at DEBUG it prints the headers of answers, and a redirect repeats a URL.

URLs of this API hold tokens. Records of the host application's own calls stay as they are.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar

#: Set while one of our requests is under way in the running task.
OURS: ContextVar[bool] = ContextVar("carecloud_request", default=False)

_TELLS_HEADERS = "receive_response_headers"


def _name_only(record: logging.LogRecord) -> bool:
    if OURS.get() and isinstance(record.msg, str) and record.msg.startswith(_TELLS_HEADERS):
        record.msg, record.args = record.msg.partition(" ")[0], ()
    return True


for _family in ("httpcore", "httpcore2"):
    for _part in ("http11", "http2", "proxy", "socks"):
        logging.getLogger(f"{_family}.{_part}").addFilter(_name_only)
