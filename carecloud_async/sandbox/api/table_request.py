"""The common part of all operations on tables: the records in the path, and the table."""

from __future__ import annotations

from carecloud_async.sandbox.api.calls import Call
from carecloud_async.sandbox.api.problems import forbidden, not_found
from carecloud_async.sandbox.state.facts import ApiOperation
from carecloud_async.sandbox.state.plans import CUSTOMERS, api_plans
from carecloud_async.sandbox.state.sandbox_state import SandboxState
from carecloud_async.sandbox.state.tables import Table


class TableHandler:
    """Base of the handlers of one operation.

    Args:
        api: What the API declares of it.
    """

    def __init__(self, api: ApiOperation) -> None:
        self._api = api
        segments = api.template.split("/")
        self._path_records = [
            (segment[1:-1], "/".join(segments[:place]))
            for place, segment in enumerate(segments)
            if segment.startswith("{")
        ]

    def check_path(self, state: SandboxState, call: Call, *, but_last: bool = False) -> None:
        """Check that the records named in the path exist and are the caller's.

        Args:
            state: The state.
            call: The request.
            but_last: Leave the last one to the caller.

        Raises:
            RefusalError: 404 for a record that does not exist, 403 for another customer's.
        """
        for name, collection in self._path_records[: -1 if but_last else None]:
            record_id = call.path[name]
            if collection == CUSTOMERS and call.customer_id not in (None, record_id):
                raise forbidden("The customer does not belong to the logged in customer")
            if not state.tables.exists(api_plans().collection(collection), record_id):
                raise not_found(resource=collection.rpartition("/")[2], resource_id=record_id)

    def table(self, state: SandboxState, call: Call, collection: str) -> Table:
        """The table of a collection's path; if there are several, that of the parent in the path."""
        plan = api_plans().lists[collection]
        own = plan.parent_name is not None and plan.scope == "own"
        return state.tables.table(plan.table, call.path[plan.parent_name] if own and plan.parent_name else None)
