"""The client as a dependency."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from attrs import frozen
from fastapi import Depends
from starlette.requests import HTTPConnection

from carecloud_async.client import CareCloud
from carecloud_async.errors import ConfigurationError
from carecloud_async.fastapi.disconnect import cancelled_by_hang_up
from carecloud_async.fastapi.lifespan import DEFAULT_NAME, state_key


@frozen
class ClientDependency:
    """Finds a client; equal for equal names, and so a key of `dependency_overrides`.

    Attributes:
        name: the client's name in `carecloud_lifespan`.
    """

    name: str

    async def __call__(
        self,
        connection: HTTPConnection,
        _: None = Depends(cancelled_by_hang_up, scope="function"),
    ) -> CareCloud:
        """Return the client of the application that serves this request."""
        key = state_key(self.name)
        # A mounted application has an `app.state` of its own, and shares the state of the lifespan.
        for state in (connection.state, connection.app.state):
            client: Any = getattr(state, key, None)
            if client is not None:
                return client  # type: ignore[no-any-return]
        raise ConfigurationError(
            f"no client named {self.name!r} is open: make the application with "
            "FastAPI(lifespan=carecloud_lifespan(…)), and in a test enter it (`with TestClient(app) as http:`) "
            "or set app.dependency_overrides[carecloud_dep()]"
        )


def carecloud_dep(name: str = DEFAULT_NAME) -> ClientDependency:
    """Return the dependency that finds a client: `Other = Annotated[CareCloud, Depends(carecloud_dep("other"))]`.

    A browser that hangs up during a GET or HEAD cancels the handler, and with it the call upstream; other methods run
    to their end, so that no write is cut in two.

    Args:
        name: the client's name in `carecloud_lifespan`.
    """
    return ClientDependency(name)


#: The application's client: `async def show(carecloud: CareCloudDep)`.
CareCloudDep: TypeAlias = Annotated[CareCloud, Depends(carecloud_dep())]
