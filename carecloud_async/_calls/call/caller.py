"""Make calls for one identity: arguments become a request, and its response a result."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from functools import cached_property
from typing import Any, TypeVar

from attrs import evolve

from carecloud_async._base import codec
from carecloud_async._base.project import Interface
from carecloud_async._base.runtime.secret_text import SecretBytes, SecretText
from carecloud_async._calls.auth.tokens import Tokens
from carecloud_async._calls.call.cache_use import CacheUse, is_cacheable
from carecloud_async._calls.call.call import Call
from carecloud_async._calls.call.context import ClientContext, ViewOptions
from carecloud_async._calls.call.operation import Answer, CallRequest, Operation
from carecloud_async._calls.call.request import (
    RequestSize,
    check_headers,
    check_request_line,
    encode_query,
    expand_path,
    query_pairs,
    request_size,
)
from carecloud_async._calls.http.outgoing import OutgoingRequest
from carecloud_async._calls.http.redaction import shown_url
from carecloud_async._calls.http.responses import ACCEPT_ENCODING
from carecloud_async._calls.http.timeout import Timeout
from carecloud_async.errors import ConfigurationError, InterfaceError, ReadOnlyError
from carecloud_async.fixes import FOR_API_USERS, FOR_CUSTOMERS

T = TypeVar("T")

#: Headers of the user's own client that must not be sent with the SDK's calls.
_NOT_OURS = ("Authorization", "Cookie", "Host")


class Caller:
    """Makes calls for one identity with one set of options.

    Args:
        context: state that all views share.
        interface: the API that the identity may use.
        options: the view's own settings.
        tokens: the identity's tokens; `None` for calls that carry no token of their own.
    """

    def __init__(
        self,
        context: ClientContext,
        *,
        interface: Interface,
        options: ViewOptions,
        tokens: Tokens | None = None,
    ) -> None:
        self.context = context
        self.interface = interface
        self.options = options
        self.tokens = tokens
        self._base_path = context.project.base_path(interface)
        self._headers = self._default_headers()
        self._timeouts = self._default_timeouts()

    @cached_property
    def fresh(self) -> Caller:
        """A caller that bypasses the client's cache, and asks caches in front of the API not to answer."""
        return self.with_options(evolve(self.options, reuses=False))

    @cached_property
    def fail_fast(self) -> Caller:
        """A caller that retries once at most, for pages that can be requested again in smaller pieces."""
        retry = self.options.retry
        options = evolve(self.options, retry=evolve(retry, attempts=min(retry.attempts, 2)))
        return self.with_options(options)

    def call(self, request: CallRequest[T]) -> Coroutine[Any, Any, T]:
        """Make a call and decode its answer; to be awaited.

        Raises:
            InterfaceError: the identity's interface does not have the operation; nothing was sent.
            ReadOnlyError: the operation may change something, and the view is read-only; nothing was sent.
            ConfigurationError: an argument cannot be sent.
            CareCloudError: see `carecloud_async.errors`.
        """
        # A plain function: one stack frame less between the user's line and the HTTP library.
        call = self._prepare(request)
        store, tokens = self.context.answers, self.tokens
        if store is None or tokens is None or not (request.operation.clears_cache or is_cacheable(request)):
            return call.run(self.build, None)
        scope = (self.interface, self.options.language)
        cache = CacheUse(call, store, tokens=tokens, scope=scope, reuses=self.options.reuses)
        return call.run(self.build, cache)

    async def execute(self, request: CallRequest[T]) -> Answer[T]:
        """Make a call, bypassing the cache, and return its decoded answer with the response; see `call`.

        Raises:
            CareCloudError: as from `call`.
        """
        call = self._prepare(request)
        await call.run(self.build, None)
        assert call.answer is not None  # noqa: S101  (it has run)
        return call.answer

    def require(self, operation: Operation) -> None:
        """Raise unless the identity's interface has an operation and the view allows it.

        Raises:
            InterfaceError: the interface does not have it.
            ReadOnlyError: it may change something, and the view is read-only.
        """
        if self.interface not in operation.interfaces:
            name = f"{operation.call} ({operation.title})"
            raise InterfaceError(
                f"{name} does not exist on the {self.interface} interface of this identity",
                fix=FOR_CUSTOMERS if self.interface is Interface.ENTERPRISE else FOR_API_USERS,
            )
        if operation.outcome_matters and not operation.takes_credentials:
            self.refuse_if_read_only(f"{operation.call} ({operation.title})")

    def refuse_if_read_only(self, name: str) -> None:
        """Raise if the view is read-only.

        Args:
            name: what may change something.

        Raises:
            ReadOnlyError: it is.
        """
        if self.options.read_only:
            raise ReadOnlyError(f"{name} may change something, and this client is read-only")

    def _prepare(self, request: CallRequest[T]) -> Call[T]:
        operation, params = request.operation, request.params
        self.require(operation)
        context = self.context
        context.check()
        if request.headers is not None:
            check_headers(request.headers)
        # Bodies and queries hold passwords and personal data, paths tokens. Error reporters record local variables, so
        # these are SecretText and SecretBytes, whose reprs hide them.
        body = None if request.json is None else SecretBytes(codec.encode(request.json, zone=context.project.timezone))
        target = SecretText(expand_path(operation.path, request.path_params or {}))
        if params and (query := SecretText(encode_query(params, project=context.project))):
            target = SecretText(f"{target}?{query}")
            # Without a query the line is short: a path holds ids.
            check_request_line(operation, f"{self._base_path}{target}")
        tokens = None if request.bearer is not None or operation.takes_credentials else self.tokens
        return Call(context, self.options, request, target=target, body=body, tokens=tokens)

    def request_size(
        self, operation: Operation, *, path_params: Mapping[str, Any], params: Mapping[str, Any]
    ) -> RequestSize:
        """Return the size of a request before it is made.

        Raises:
            ConfigurationError: a value cannot be sent.
        """
        target = f"{self._base_path}{expand_path(operation.path, path_params)}"
        return request_size(operation, target, query_pairs(params, project=self.context.project))

    def with_options(self, options: ViewOptions) -> Caller:
        """Return a caller for the same identity with other options."""
        return Caller(self.context, interface=self.interface, options=options, tokens=self.tokens)

    def build(self, call: Call[Any]) -> OutgoingRequest:
        """Return a new request; each attempt has its own.

        Raises:
            ConfigurationError: the HTTP library does not accept the path and query, or a header.
        """
        operation, target = call.operation, self._base_path + call.target
        # Our own transports read the true target; parsing a URL for each call would take 10 % of a small call.
        owned = self.context.http.owned
        request = OutgoingRequest(
            operation.method,
            self._url(self._base_path + operation.path if owned else target, operation),
            origin=self.context.project.origin,
            target=target,
            headers=self._headers,
            content=call.body,
            timeout=self._timeouts,
            check=call.check_age,
        )
        if call.request.bearer is not None:
            request.set_bearer(call.request.bearer)
        for name, value in (call.request.headers or {}).items():
            request.headers[name.title()] = value
        return request

    def _url(self, target: str, operation: Operation) -> Any:
        http_library, origin = self.context.http.http_library, self.context.project.origin
        try:
            return shown_url(http_library, f"{origin}{target}", f"{origin}{self._base_path}{operation.path}")
        except http_library.InvalidURL:
            pass
        raise ConfigurationError(
            f"{operation.title}: its path and query cannot be sent: together they may have some 65,000 characters. "
            "Check the id, or split a long list into several requests"
        )

    def _default_headers(self) -> dict[str, str]:
        http, options = self.context.http, self.options
        headers = {"Host": self.context.project.host}
        for raw_name, value in http.client.headers.multi_items():
            name = raw_name.title()
            if name not in _NOT_OURS:
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
        headers |= {
            "Accept": "application/json",
            "Accept-Encoding": ACCEPT_ENCODING,
            "Accept-Language": options.language,
            "Content-Type": "application/json",
            "User-Agent": http.user_agent,
        }
        if not options.reuses:
            headers["Cache-Control"] = "no-cache"  # RFC 9111, 5.2.1.4: caches ask the server before they answer
        return headers

    def _default_timeouts(self) -> dict[str, float | None]:
        """Return the timeouts of connecting and reading: those of the user's client, unless a view sets others."""
        http, timeout = self.context.http, self.options.timeout
        if not http.owned and timeout == Timeout():
            phases: dict[str, float | None] = http.client.timeout.as_dict()
            return phases
        return {"connect": timeout.connect, "read": timeout.read, "write": timeout.read, "pool": None}
