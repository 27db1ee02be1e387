"""Reading and writing single records of tables, batches of them, and actions."""

from __future__ import annotations

from typing import Any, Final

import attrs

from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.body_checks import faults_of_rows, rows_of, wrapper_of
from carecloud_async.sandbox.api.calls import Call
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request, forbidden, not_found
from carecloud_async.sandbox.api.table_effects import EFFECTS, Action
from carecloud_async.sandbox.api.table_request import TableHandler
from carecloud_async.sandbox.json_text import JsonObject, json_bytes
from carecloud_async.sandbox.state.facts import field_names, fields_of, path_to, read_only_names
from carecloud_async.sandbox.state.plans import TablePlan, api_plans
from carecloud_async.sandbox.state.sandbox_state import SandboxState
from carecloud_async.sandbox.state.tables import Table

MOST_ROWS: Final = 1000
_KEEP_VALID: Final = 2
_SENT_AS: Final = {"bill_id": "external_purchase_id"}
"""Fields of actions that their records have under another name."""
_SAME: Final = ("external_id", "code")
"""Fields by which a batch knows a record that it brings without an id."""
_IDENTITY: Final = {"postEvent": ("external_id", "secondary_external_id", "event_type_id", "customer_id")}
"""The fields that make a created record the same as another, by operation id; the refusal names the first one."""


class TableRecord(TableHandler):
    """One operation on a record of a table, on some of them, or an action."""

    # One record

    def read(self, state: SandboxState, call: Call) -> JsonObject:
        """Return one record.

        Raises:
            RefusalError: 404 if it does not exist, 403 if it is another customer's.
        """
        table, record_id = self._record(state, call)
        return table.record(record_id)

    def replace(self, state: SandboxState, call: Call) -> None:
        """Replace one record: omitted fields are deleted, except those that only the server sets.

        Raises:
            RefusalError: 404 or 403 as for `read`, 400 for a body that is not valid.
        """
        sent = self._sent(arguments(state, call))
        table, record_id = self._record(state, call)
        fields = fields_of(table.plan.schema)
        # A body whose fields are spelt out changes these and no others.
        dotted = {field.name.partition(".")[2] for field in self._api.body if "." in field.name}
        changeable = dotted or {field.name for field in fields if not field.read_only}
        # A field that the API does not know is deleted as well.
        stays = field_names(table.plan.schema) - changeable
        record = {name: value for name, value in table.record(record_id).items() if name in stays}
        record |= {name: value for name, value in sent.items() if name in changeable}
        if "last_change" in field_names(table.plan.schema):
            record["last_change"] = state.now()
        table.replace(record_id, record)

    def delete(self, state: SandboxState, call: Call) -> None:
        """Delete one record.

        Raises:
            RefusalError: 404 or 403 as for `read`.
        """
        table, record_id = self._record(state, call)
        table.delete(record_id)

    def create(self, state: SandboxState, call: Call) -> JsonObject:
        """Create a record and return its id.

        Raises:
            RefusalError: 404 or 403 for a parent as for `read`, 400 for a body that is not valid, or for a record that
                the table has.
        """
        self.check_path(state, call)
        body = arguments(state, call)
        table = self.table(state, call, self._api.template)
        record = self._new(state, call, table.plan, self._sent(body))
        self._refuse_double(table, record)
        record_id = table.insert(record)
        self._create_below(state, body, record_id)
        return self._created(record_id)

    # Batches

    def batch(self, state: SandboxState, call: Call) -> None:
        """Create or change each record of a batch; one without an id is known by its external id or code.

        One invalid row undoes the whole batch, unless the body asks to keep the valid rows.

        Raises:
            RefusalError: 404 or 403 for a parent as for `read`, 400 for a body that is not valid, or for invalid rows
                where the valid ones were kept.
        """
        self.check_path(state, call)
        call, faults = self._valid_rows(call)
        body = arguments(state, call)
        collection = self._api.template.removesuffix("/batch")
        if collection not in api_plans().lists:
            return  # nothing lists these records
        table = self.table(state, call, collection)
        for row in self._rows(body):
            record_id = self._same(table, row)
            if record_id is None:
                table.insert(self._new(state, call, table.plan, row))
            else:
                table.update(record_id, row)
        if faults and state.settings.batch_report:
            raise bad_request(*faults)

    def _valid_rows(self, call: Call) -> tuple[Call, list[InvalidParam]]:
        """Check the number of rows; where the valid ones are to be kept, take the others out."""
        field, body = rows_of(self._api.body), call.json()
        rows = None if field is None else body.get(field.name)
        if field is None or not isinstance(rows, list):
            return call, []
        if not 1 <= len(rows) <= MOST_ROWS:
            raise bad_request(InvalidParam(name=field.name, reason="not_allowed_value" if rows else "empty"))
        if body.get("error_processing") != _KEEP_VALID:
            return call, []
        faults = faults_of_rows(field, rows)
        valid = [row for row, found in zip(rows, faults, strict=True) if not found]
        kept = attrs.evolve(call, body=json_bytes({**body, field.name: valid}))
        return kept, [fault for found in faults for fault in found]

    def delete_batch(self, state: SandboxState, call: Call) -> None:
        """Delete each record of a batch that exists.

        Raises:
            RefusalError: 400 for a body that is not valid.
        """
        body = arguments(state, call)
        table = self.table(state, call, self._api.template.removesuffix("/batch"))
        for row in self._rows(body):
            record_id = row.get(table.plan.id_field or "")
            if record_id in table:
                table.delete(str(record_id))

    # Actions

    def act(self, state: SandboxState, call: Call) -> JsonObject | None:
        """Do an action, if it changes a table, and return data of the declared form.

        Raises:
            RefusalError: 404 or 403 for a record in the path as for `read`, 400 for arguments that are not valid.
        """
        self.check_path(state, call)
        sent = arguments(state, call)
        effect = EFFECTS.get(self._api.operation_id)
        given = effect and effect(Action(tables=state.tables, path=call.path, body=sent, now=state.now()))
        if self._api.status == 204:
            return None
        created = self._created_by_action(state, call, sent)
        if created is not None:
            return self._created(created)
        place = ":".join([self._api.template, *call.path.values(), str(sent.get("customer_id", ""))])
        data = state.tables.maker.answer(self._api.result, self._api.fields, given={**sent, **call.path}, place=place)
        return {**data, **(given or {})}

    def _created_by_action(self, state: SandboxState, call: Call, sent: JsonObject) -> str | None:
        if self._api.method != "POST" or len(self._api.fields) != 1:
            return None
        for plan in api_plans().known_by(self._api.fields[0].name):
            if plan.parent_name not in (None, "customer_id"):
                continue
            table = state.tables.table(plan.name, plan.parent_name and str(sent.get("customer_id", "")))
            wrapper = wrapper_of(self._api.body)
            record = self._new(state, call, plan, {**sent, **(self._sent(sent) if wrapper else {})})
            for name, value in call.path.items():
                path = path_to(plan.schema, name) or (name,)
                if len(path) == 2:  # a voucher has its reward's id in an object
                    record[path[0]] = {path[1]: value}
            names = field_names(plan.schema)
            record |= {known: record[other] for other, known in _SENT_AS.items() if other in record}
            return table.insert({name: value for name, value in record.items() if name in names})
        return None

    # Parts

    def _record(self, state: SandboxState, call: Call) -> tuple[Table, str]:
        self.check_path(state, call, but_last=True)
        name, collection = self._path_records[-1]
        record_id = call.path[name]
        table = self.table(state, call, collection)
        if record_id not in table:
            raise not_found(resource=collection.rpartition("/")[2], resource_id=record_id)
        owner = table.record(record_id).get("customer_id")
        if None not in (call.customer_id, owner) and owner != call.customer_id:
            raise forbidden("The record does not belong to the logged in customer")
        return table, record_id

    def _sent(self, body: JsonObject) -> JsonObject:
        wrapper = wrapper_of(self._api.body)
        record = body if wrapper is None else body.get(wrapper.name)
        return dict(record) if isinstance(record, dict) else {}

    def _rows(self, body: JsonObject) -> list[JsonObject]:
        field = rows_of(self._api.body)
        rows: Any = [] if field is None else body.get(field.name)
        return [row for row in rows if isinstance(row, dict)]

    def _new(self, state: SandboxState, call: Call, plan: TablePlan, sent: JsonObject) -> JsonObject:
        now, names = state.now(), field_names(plan.schema)
        record = {name: value for name, value in sent.items() if name not in read_only_names(plan.schema)}
        set_by_server: JsonObject = {"last_change": now, "created_at": now, "state": 1, **call.path}
        missing = {name: value for name, value in set_by_server.items() if name in names and name not in record}
        return {**record, **missing}

    def _refuse_double(self, table: Table, record: JsonObject) -> None:
        names = _IDENTITY.get(self._api.operation_id)
        if names is None:
            return
        identity = [record.get(name) or "" for name in names]
        if any([known.get(name) or "" for name in names] == identity for known in table):
            raise bad_request(InvalidParam(name=names[0], reason="relation_already_exists"))

    def _create_below(self, state: SandboxState, body: JsonObject, record_id: str) -> None:
        # A task comes with its assignees and property records, an event with its property records.
        for field in self._api.body:
            rows = body.get(field.name)
            for plan in api_plans().tables.values():
                below = plan.name.startswith(f"{self._api.template}/{{") and plan.name.count("/") == 3
                if isinstance(rows, list) and below and plan.name.endswith(f"/{field.name.replace('_', '-')}"):
                    state.tables.table(plan.name, record_id).refill(rows)

    def _same(self, table: Table, row: JsonObject) -> str | None:
        record_id = row.get(table.plan.id_field or "")
        if record_id in table:
            return str(record_id)
        name = next((name for name in _SAME if row.get(name)), None)
        if name is None or name not in field_names(table.plan.schema):
            return None
        return next((one for one in table.ids() if table.record(one).get(name) == row[name]), None)

    def _created(self, record_id: str) -> JsonObject:
        return {field.name: record_id for field in self._api.fields}
