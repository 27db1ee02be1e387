"""Caller: makes calls for one identity: what is asked becomes a request, and its answer a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from carecloud_async import codec
from carecloud_async.auth.flow import flow_for
from carecloud_async.auth.manager import TokenManager
from carecloud_async.calls.attempt import Attempt, RawResponse, broken_answer
from carecloud_async.calls.context import ClientContext, Options
from carecloud_async.calls.execution import CallExecution
from carecloud_async.calls.operation import Operation
from carecloud_async.calls.requests import RequestBuilder
from carecloud_async.calls.wire import encode_query, expand_path
from carecloud_async.errors import InterfaceError, ResponseError
from carecloud_async.project import Interface

T = TypeVar("T")


class Caller:
    """Makes calls for one identity with one set of options.

    Args:
        context: what all views share.
        interface: the API that the identity may use.
        options: the view's own settings.
        manager: the identity's tokens; `None` for calls that carry no token of their own.
    """

    def __init__(
        self, context: ClientContext, *, interface: Interface, options: Options, manager: TokenManager | None = None
    ) -> None:
        self.context = context
        self.interface = interface
        self.options = options
        self._flow = None if manager is None else flow_for(context.http.family, manager)
        self._outgoing = RequestBuilder(context, interface, options)

    async def call(
        self,
        operation: Operation,
        *,
        decode: Callable[[bytes], T],
        path_params: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        bearer: str | None = None,
    ) -> T:
        """Make a call and decode its answer.

        Args:
            operation: what to ask.
            decode: turns the body into the result; raises `codec.Malformed` for what the API never sends.
            path_params: values of the path's placeholders.
            params: query parameters; `None` values are left out.
            json: the body.
            bearer: a token to send instead of the identity's own.

        Raises:
            InterfaceError: the identity's interface does not have the operation; nothing was sent.
            CareCloudError: see `carecloud_async.errors`.
        """
        return await self.finish(
            operation,
            lambda response: decode(response.body),
            path_params=path_params,
            params=params,
            json=json,
            bearer=bearer,
        )

    @staticmethod
    def broken(operation: Operation, problem: str, *, status: int | None = None) -> ResponseError:
        """Make the error of an answer that is not what the API promises."""
        return broken_answer(operation, problem, status=status)

    def text(self, operation: Operation, data: Any, name: str) -> str:
        """Take one text out of an answer's data.

        Raises:
            ResponseError: it is not there.
        """
        value = data.get(name) if isinstance(data, dict) else None
        if not isinstance(value, str) or not value:
            raise self.broken(operation, f"the answer holds no {name}")
        return value

    async def exchange(
        self,
        operation: Operation,
        *,
        path_params: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
    ) -> RawResponse:
        """Make a call and return its answer undecoded; see `call`."""
        return await self.finish(
            operation, lambda response: response, path_params=path_params, params=params, json=json
        )

    async def finish(
        self,
        operation: Operation,
        finish: Callable[[RawResponse], T],
        *,
        path_params: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        bearer: str | None = None,
        login: bool = False,
    ) -> T:
        """Make a call and make something of the whole answer; see `call`.

        Args:
            operation: what to ask.
            finish: turns the answer into the result; raises `codec.Malformed` for what the API never sends.
            path_params: values of the path's placeholders.
            params: query parameters.
            json: the body.
            bearer: a token to send instead of the identity's.
            login: whether it is a login: any refusal is then about credentials, and other calls wait for it.
        """
        if self.interface not in operation.interfaces:
            name = f"{operation.call} ({operation.title})"
            raise InterfaceError(f"{name} does not exist on the {self.interface} interface of this identity")
        context = self.context
        context.check()
        target = expand_path(operation.path, path_params or {})
        query = encode_query(params, project=context.project) if params else ""
        if query:
            target = f"{target}?{query}"
        body = None if json is None else codec.encode(json, zone=context.project.timezone)
        auth = self._flow if operation.authorized and bearer is None else None

        def attempt() -> Attempt:
            request = self._outgoing.request(operation, target, body, bearer)
            return Attempt(operation=operation, request=request, auth=auth, login=login)

        def decode(response: RawResponse) -> T:
            try:
                return finish(response)
            except codec.Malformed as error:
                problem = str(error)
            raise self.broken(operation, problem, status=response.status)

        return await CallExecution(context, self.options, operation, attempt=attempt, finish=decode, login=login).run()

    def with_options(self, options: Options, manager: TokenManager | None) -> Caller:
        """Return a caller for the same context with other options."""
        return Caller(self.context, interface=self.interface, options=options, manager=manager)
