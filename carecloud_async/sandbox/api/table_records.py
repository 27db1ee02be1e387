"""Reading and writing single records of tables, batches of them, and actions."""

from __future__ import annotations

from typing import Any, Final

import attrs

from carecloud_async.sandbox.api.accepted_payment import accepted_payment
from carecloud_async.sandbox.api.answer import Answer, data_answer, no_content
from carecloud_async.sandbox.api.calls import Call
from carecloud_async.sandbox.api.doubles import refuse_double
from carecloud_async.sandbox.api.problems import InvalidParam, bad_request, forbidden, not_found
from carecloud_async.sandbox.api.table_effects import EFFECTS, Action
from carecloud_async.sandbox.api.table_input import faults_of_rows, rows_of, wrapper_of
from carecloud_async.sandbox.api.table_request import TableHandler, own_customer
from carecloud_async.sandbox.json_text import JsonObject, json_bytes
from carecloud_async.sandbox.state.facts import Field
from carecloud_async.sandbox.state.plans import TablePlan
from carecloud_async.sandbox.state.sandbox_state import SandboxState
from carecloud_async.sandbox.state.tables import Table

MOST_ROWS: Final = 1000
_KEEP_VALID: Final = 2
_SENT_AS: Final = {"bill_id": "external_purchase_id"}
"""Fields of actions that their records have under another name."""
_SAME: Final = ("external_id", "code")
"""Fields by which a batch knows a record that it brings without an id."""


class TableRecord(TableHandler):
    """One operation on a record of a table, on some of them, or an action.

    Args:
        api: Its facts.
        plans: The tables.
    """

    # One record

    async def read(self, state: SandboxState, call: Call) -> Answer:
        """Answer one record.

        Raises:
            RefusalError: 404 if it does not exist, 403 if it is another customer's.
        """
        with state.tables.lock:
            table, record_id = self._record(state, call)
            return data_answer(table.record(record_id), pretty=state.settings.pretty)

    async def replace(self, state: SandboxState, call: Call) -> Answer:
        """Replace one record: omitted fields are deleted, except those that only the server sets.

        Raises:
            RefusalError: 404 or 403 as for `read`, 400 for a body that is not valid.
        """
        body = self.arguments(state, call)
        with state.tables.lock:
            table, record_id = self._record(state, call)
            before = table.record(record_id)
            sent = self._sent(body)
            changeable = {field.name for field in self._writable(table.plan.schema)}
            dotted = [field.name.partition(".") for field in self._api.body if "." in field.name]
            # A body whose fields are spelt out changes these and no others.
            changeable = {name for _, _, name in dotted} or changeable
            kept = {name: value for name, value in before.items() if self._stays(table.plan, name, changeable)}
            dated = {"last_change": self._now(state)} if self._has(table.plan, "last_change") else {}
            table.replace(record_id, {**kept, **{k: v for k, v in sent.items() if k in changeable}, **dated})
        return no_content()

    async def delete(self, state: SandboxState, call: Call) -> Answer:
        """Delete one record.

        Raises:
            RefusalError: 404 or 403 as for `read`.
        """
        with state.tables.lock:
            table, record_id = self._record(state, call)
            table.delete(record_id)
        return no_content()

    async def create(self, state: SandboxState, call: Call) -> Answer:
        """Create a record and answer its id.

        Raises:
            RefusalError: 404 or 403 for a parent as for `read`, 400 for a body that is not valid.
        """
        self.check_path(state, call)
        body = self.arguments(state, call)
        with state.tables.lock:
            table = self.table(state, call, self._api.template)
            record = self._new(state, call, table.plan, self._sent(body))
            refuse_double(self._api.operation_id, table, record)
            record_id = table.insert(record)
            self._create_below(state, body, record_id)
        return self._created(state, record_id)

    # Batches

    async def batch(self, state: SandboxState, call: Call) -> Answer:
        """Create or change each record of a batch; one without an id is known by its external id or code.

        One row at fault undoes everything, unless the body asks to keep the valid rows.

        Raises:
            RefusalError: 404 or 403 for a parent as for `read`, 400 for a body that is not valid, or for rows at fault
                beside the valid ones that were kept.
        """
        self.check_path(state, call)
        call, faults = self._valid_rows(call)
        body = self.arguments(state, call)
        collection = self._api.template.removesuffix("/batch")
        if collection not in self._plans.lists:
            return no_content()  # nothing lists these records
        with state.tables.lock:
            table = self.table(state, call, collection)
            for row in self._rows(body):
                record_id = self._same(table, row)
                if record_id is None:
                    table.insert(self._new(state, call, table.plan, row))
                else:
                    table.update(record_id, row)
        if faults and state.settings.batch_report:
            raise bad_request(*faults)
        return no_content()

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
        faults = faults_of_rows(self._plans, field, rows)
        valid = [row for row, found in zip(rows, faults, strict=True) if not found]
        kept = attrs.evolve(call, body=json_bytes({**body, field.name: valid}, pretty=False))
        return kept, [fault for found in faults for fault in found]

    async def delete_batch(self, state: SandboxState, call: Call) -> Answer:
        """Delete each record of a batch that exists.

        Raises:
            RefusalError: 400 for a body that is not valid.
        """
        body = self.arguments(state, call)
        with state.tables.lock:
            table = self.table(state, call, self._api.template.removesuffix("/batch"))
            for row in self._rows(body):
                record_id = row.get(table.plan.id_field or "")
                if record_id in table:
                    table.delete(str(record_id))
        return no_content()

    # Actions

    async def act(self, state: SandboxState, call: Call) -> Answer:
        """Do an action, if it changes a table, and answer with data of the declared form.

        Raises:
            RefusalError: 404 or 403 for a record in the path as for `read`, 400 for arguments that are not valid.
        """
        self.check_path(state, call)
        arguments = self.arguments(state, call)
        with state.tables.lock:
            effect = EFFECTS.get(self._api.operation_id)
            if effect is not None:
                now = self._now(state)
                effect(Action(tables=state.tables, path=call.path, body=arguments, now=now))
            if self._api.status == 204:
                return no_content()
            created = self._created_by_action(state, call, arguments)
            if created is not None:
                return self._created(state, created)
            place = ":".join([self._api.template, *call.path.values(), str(arguments.get("customer_id", ""))])
            data = state.tables.maker.answer(
                self._api.result, self._api.fields, given={**arguments, **call.path}, place=place
            )
            if self._api.operation_id == "postPurchaseAcceptPayment":
                data |= accepted_payment(state.tables, arguments)
        return data_answer(data, status=self._api.status, pretty=state.settings.pretty)

    def _created_by_action(self, state: SandboxState, call: Call, arguments: JsonObject) -> str | None:
        if self._api.method != "POST" or len(self._api.fields) != 1:
            return None
        for plan in self._plans.known_by(self._api.fields[0].name):
            if plan.parent_name == "customer_id":
                parent = str(arguments.get("customer_id", ""))
            elif plan.parent_name is None:
                parent = None
            else:
                continue
            table = state.tables.table(plan.name, parent)
            wrapper = wrapper_of(self._plans, self._api.body)
            record = self._new(state, call, plan, {**arguments, **(self._sent(arguments) if wrapper else {})})
            for name, value in call.path.items():
                path = self._plans.path_to(plan.schema, name) or (name,)
                if len(path) == 2:  # a voucher has its reward's id in an object
                    record[path[0]] = {path[1]: value}
            names = self._plans.field_names(plan.schema)
            record |= {known: record[sent] for sent, known in _SENT_AS.items() if sent in record}
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
        own = own_customer(call)
        owner = table.record(record_id).get("customer_id")
        if own is not None and owner is not None and owner != own:
            raise forbidden("The record does not belong to the logged in customer")
        return table, record_id

    def _sent(self, body: JsonObject) -> JsonObject:
        wrapper = wrapper_of(self._plans, self._api.body)
        record = body if wrapper is None else body.get(wrapper.name)
        return dict(record) if isinstance(record, dict) else {}

    def _rows(self, body: JsonObject) -> list[JsonObject]:
        field = rows_of(self._api.body)
        rows: Any = [] if field is None else body.get(field.name)
        return [row for row in rows if isinstance(row, dict)]

    def _new(self, state: SandboxState, call: Call, plan: TablePlan, sent: JsonObject) -> JsonObject:
        now = self._now(state)
        readable = self._plans.fields(plan.schema)
        names = {field.name for field in readable}
        read_only = {field.name for field in readable if field.read_only and not field.required}
        record = {name: value for name, value in sent.items() if name not in read_only}
        set_by_server: JsonObject = {"last_change": now, "created_at": now, "state": 1, **call.path}
        missing = {name: value for name, value in set_by_server.items() if name in names and name not in record}
        return {**record, **missing}

    def _create_below(self, state: SandboxState, body: JsonObject, record_id: str) -> None:
        # A task comes with its assignees and property records, an event with its property records.
        for field in self._api.body:
            rows = body.get(field.name)
            for plan in self._plans.tables.values():
                below = plan.name.startswith(f"{self._api.template}/{{") and plan.name.count("/") == 3
                if isinstance(rows, list) and below and plan.name.endswith(f"/{field.name.replace('_', '-')}"):
                    state.tables.table(plan.name, record_id).refill(rows)

    def _same(self, table: Table, row: JsonObject) -> str | None:
        record_id = row.get(table.plan.id_field or "")
        if record_id in table:
            return str(record_id)
        name = next((name for name in _SAME if row.get(name)), None)
        if name is None or not self._has(table.plan, name):
            return None
        return next((one for one in table.ids() if table.record(one).get(name) == row[name]), None)

    def _created(self, state: SandboxState, record_id: str) -> Answer:
        data = {field.name: record_id for field in self._api.fields}
        return data_answer(data, status=self._api.status, pretty=state.settings.pretty)

    def _stays(self, plan: TablePlan, name: str, changeable: set[str]) -> bool:
        # A field that the API does not know is deleted as well.
        return self._has(plan, name) and name not in changeable

    def _has(self, plan: TablePlan, name: str) -> bool:
        return name in self._plans.field_names(plan.schema)

    def _writable(self, schema: str) -> list[Field]:
        return [field for field in self._plans.fields(schema) if not field.read_only]

    def _now(self, state: SandboxState) -> str:
        return state.local(state.clock.now())
