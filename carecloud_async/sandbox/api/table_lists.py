"""The lists that are read from tables."""

from __future__ import annotations

from carecloud_async.sandbox.api.answer import Page
from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Call
from carecloud_async.sandbox.api.listing import places
from carecloud_async.sandbox.api.parameters import Window, window_of
from carecloud_async.sandbox.api.table_filters import HIDDEN_IDS, VALIDITY, filters_for, sort_key, values_at
from carecloud_async.sandbox.api.table_request import TableHandler
from carecloud_async.sandbox.json_text import JsonObject, json_bytes
from carecloud_async.sandbox.state.draw import hex_id
from carecloud_async.sandbox.state.facts import ApiOperation, field_names, path_to
from carecloud_async.sandbox.state.plans import api_plans
from carecloud_async.sandbox.state.sandbox_state import SandboxState
from carecloud_async.sandbox.state.tables import Table


class TableList(TableHandler):
    """One list, by GET or by POST.

    Args:
        api: What the API declares of it.
    """

    def __init__(self, api: ApiOperation) -> None:
        super().__init__(api)
        self._plan = api_plans().lists[api.template]
        self._schema = api_plans().tables[self._plan.table].schema
        noun = api.key.removesuffix("ies") + "y" if api.key.endswith("ies") else api.key.removesuffix("s")
        self._filters = filters_for(self._schema, (*api.query, *api.body), noun=noun)
        self._paged = {"count", "offset"} <= {field.name for field in api.query}

    def page(self, state: SandboxState, call: Call) -> Page:
        """Return a page: on the customer interface the logged-in customer's records, where records say whose they are.

        Raises:
            RefusalError: See `check_path`, `arguments` and `window_of`.
        """
        self.check_path(state, call)
        sent = arguments(state, call)
        table = self.table(state, call, self._api.template)
        window = self._window(call, table, sent).as_served(sorts=state.settings.sorts)
        found = self._found(state, call, table, sent, window.sort_field)
        if window.descending:
            found = found[::-1]
        shown = [found[place] for place in places(state, window, total=len(found), capped=self._paged)]
        return Page(
            ids=lambda: shown if table.plan.id_field is not None else (),
            texts=lambda: [json_bytes(_shown(table.record(record_id))) for record_id in shown],
            offset=window.offset,
            total=len(found),
        )

    def _window(self, call: Call, table: Table, arguments: JsonObject) -> Window:
        if self._paged:
            return window_of(call.query, sortable=field_names(self._schema))
        count = arguments.get("count") if isinstance(arguments.get("count"), int) else len(table)
        return Window(count=max(count or 1, 1), offset=0, sort_field=None, descending=False)

    def _found(
        self, state: SandboxState, call: Call, table: Table, arguments: JsonObject, sort_field: str | None
    ) -> list[str]:
        now = state.now()
        sent = {name: values for name in self._filters if (values := self._sent(call, arguments, name))}
        if not state.settings.filters:
            sent = {}
        if "external_ids" in sent:
            sent.pop("external_id", None)  # the older filter is ignored if the newer one is given
        always = state.settings.shuffled
        shuffled = always or (state.settings.unstable_ties and sort_field is not None)

        def find() -> list[str]:
            ids = [one for number, one in enumerate(table.ids()) if self._shares(call, number, one)]
            scope = self._scope(call)
            if scope:
                ids = [one for one in ids if all(owner in values_at(table.record(one), path) for path, owner in scope)]
            for name, values in sent.items():
                ids = [one for one in ids if self._filters[name](table.record(one), values, now)]
            if shuffled:
                state.random.shuffle(ids)
            if sort_field is None or always:
                return ids
            if sort_field == table.plan.id_field:
                return sorted(ids)
            field = sort_field
            return sorted(ids, key=lambda one: sort_key(table.record(one), field))

        if shuffled:
            return find()
        moment = now if any(name in VALIDITY for name in sent) else None
        key = (self._api.template, *call.path.values(), call.customer_id, *sent.items(), sort_field, moment)
        return table.searches.get(key, find)

    def _sent(self, call: Call, arguments: JsonObject, name: str) -> tuple[str, ...]:
        if self._api.method == "POST":
            value = arguments.get(name)
            return tuple(map(str, value)) if isinstance(value, list) else () if value is None else (str(value),)
        parameter = next(field for field in self._api.query if field.name == name)
        if parameter.many:
            return tuple(call.query.many(name) or ())
        several = [value for key, value in call.query.pairs if key == f"{name}[]"]
        one = call.query.one(name)
        return tuple(several) if several else () if one is None else (one,)

    def _scope(self, call: Call) -> list[tuple[tuple[str, ...], str]]:
        """The owners that records must have: where a record says it, and the id."""
        scope: list[tuple[tuple[str, ...], str]] = []
        if call.customer_id is not None and "customer_id" in field_names(self._schema):
            scope.append((("customer_id",), call.customer_id))
        name = self._plan.parent_name
        path = path_to(self._schema, name) if name and self._plan.scope == "field" else None
        if name and path:
            scope.append((path, call.path[name]))
        return scope

    def _shares(self, call: Call, number: int, record_id: str) -> bool:
        # Records that do not name their parent: a parent has the first one and about an eighth of the others.
        name = self._plan.parent_name
        if self._plan.scope != "share" or name is None:
            return True
        return number == 0 or hex_id(call.path[name] + record_id)[-1] in "01"


def _shown(record: JsonObject) -> JsonObject:
    if HIDDEN_IDS not in record:
        return record
    return {name: value for name, value in record.items() if name != HIDDEN_IDS}
