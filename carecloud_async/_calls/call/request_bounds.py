"""The limits of servers on a request: the bytes of its first line, and the variables of its query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from attrs import frozen

from carecloud_async._base.project import Project
from carecloud_async._calls.call.operation import Operation
from carecloud_async._calls.call.wire import MAX_VARIABLES, expand_path, query_pairs
from carecloud_async.errors import ConfigurationError

__all__ = ["MAX_REQUEST_LINE", "RequestSize", "check_request_line", "request_size"]

#: The bytes of `GET /path?query HTTP/1.1` that servers accept: 8,192 in nginx (`large_client_header_buffers`), 8,190 in
#: Apache (`LimitRequestLine`).
MAX_REQUEST_LINE: Final = 8000

_VERSION: Final = " HTTP/1.1"


@frozen
class RequestSize:
    """The size of a request.

    Attributes:
        line: the bytes of its first line.
        variables: the variables of its query.
    """

    line: int
    variables: int

    def __str__(self) -> str:
        return f"a request line of {self.line:,} bytes with {self.variables:,} variables"

    @property
    def fits(self) -> bool:
        """Whether servers accept it."""
        return self.line <= MAX_REQUEST_LINE and self.variables <= MAX_VARIABLES


def request_size(
    operation: Operation,
    *,
    base_path: str,
    path_params: Mapping[str, Any],
    params: Mapping[str, Any],
    project: Project,
) -> RequestSize:
    """Return the size of a request before it is made.

    Args:
        operation: the operation.
        base_path: the path of the interface and its version.
        path_params: values of the path's placeholders.
        params: the query.
        project: the project, whose zone decides how times are written.

    Raises:
        ConfigurationError: a value cannot be sent.
    """
    pairs = query_pairs(params, project=project)
    query = urlencode(pairs, errors="replace")
    path = expand_path(operation.path, path_params)
    return RequestSize(_line(operation, f"{base_path}{path}?{query}"), len(pairs))


def check_request_line(operation: Operation, target: str) -> None:
    """Refuse a request line that servers do not accept.

    Args:
        operation: the operation.
        target: its path and query.

    Raises:
        ConfigurationError: the line is too long; the message has the bound.
    """
    line = _line(operation, target)
    if line > MAX_REQUEST_LINE:
        raise ConfigurationError(
            f"{operation.title}: its path and query make a request line of {line:,} bytes, and servers take "
            f"{MAX_REQUEST_LINE:,}: give fewer values, or iterate a listing, which asks in parts"
        )


def _line(operation: Operation, target: str) -> int:
    return len(operation.method) + 1 + len(target) + len(_VERSION)
