# pyright: reportReturnType=false
"""`client.tasks`, `client.task_types`, `client.task_states`, `client.task_properties`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, ClassVar, Unpack

from carecloud_async._calls.call.operation import ENTERPRISE_ONLY
from carecloud_async._lists.listings.listing import Listing
from carecloud_async.bulk.family import BulkWrites, Key
from carecloud_async.resources.bulk_writing import BulkWriting
from carecloud_async.resources.declare import Paging, Resource, SubResource, deletes, gets, lists, posts, puts
from carecloud_async.resources.updating import Updating

if TYPE_CHECKING:
    from carecloud_async.models import *


class TaskComments(BulkWriting, call="tasks.task_comments"):
    """The task comments of one task."""

    @lists("getTaskComments", "/tasks/{task_id}/task-comments", id_field="task_comment_id")
    def list(self, *, task_comment_text: str | None = None, **paging: Unpack[Paging]) -> Listing[TaskComment]:
        """List the task's comments that contain `task_comment_text` (`GET /tasks/{task_id}/task-comments`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @posts("postTaskComment", "/tasks/{task_id}/task-comments", unwrap="task_comment_id")
    async def create(self, task_comment: TaskCommentInput) -> str:
        """Create a task comment and return its id (`POST /tasks/{task_id}/task-comments`)."""

    @gets("getTaskComment", "/tasks/{task_id}/task-comments/{task_comment_id}")
    async def get(self, task_comment_id: str) -> TaskComment:
        """Return the task comment with this id (`GET /tasks/{task_id}/task-comments/{task_comment_id}`)."""


class TaskAssignees(BulkWriting, call="tasks.assignees"):
    """The assignees of one task."""

    @lists("getTaskAssignees", "/tasks/{task_id}/assignees", "task_assignees", id_field="task_assignee_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[TaskAssignee]:
        """List assignees of the task (`GET /tasks/{task_id}/assignees`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @posts("postTaskAssignee", "/tasks/{task_id}/assignees", unwrap="task_assignee_id", interfaces=ENTERPRISE_ONLY)
    async def create(self, task_assignee: TaskAssigneeInput) -> str:
        """Create an assignee and return its id (`POST /tasks/{task_id}/assignees`). Enterprise API only."""

    @gets("getTaskAssignee", "/tasks/{task_id}/assignees/{assignee_id}")
    async def get(self, assignee_id: str) -> TaskAssignee:
        """Return the assignee with this id (`GET /tasks/{task_id}/assignees/{assignee_id}`)."""

    @deletes("deleteSubTasksAssignee", "/tasks/{task_id}/assignees/{assignee_id}", interfaces=ENTERPRISE_ONLY)
    async def delete(self, assignee_id: str) -> None:
        """Delete the assignee with this id (`DELETE /tasks/{task_id}/assignees/{assignee_id}`). Enterprise API only."""


class TaskPropertyRecords(Resource, call="tasks.property_records"):
    """The property records of one task."""

    @lists("getSubTaskProperties", "/tasks/{task_id}/property-records", id_field="property_record_id", paged=False)
    def list(self) -> Listing[PropertyRecord]:
        """List property records of the task (`GET /tasks/{task_id}/property-records`)."""


class Tasks(Updating["TaskChanges", "Task"], call="tasks"):
    """Tasks for the project's users."""

    _bulk: ClassVar[BulkWrites] = BulkWrites(keys=(Key(name="task_id", by_id=True),))

    task_comments: SubResource[TaskComments] = SubResource(TaskComments)
    assignees: SubResource[TaskAssignees] = SubResource(TaskAssignees)
    property_records: SubResource[TaskPropertyRecords] = SubResource(TaskPropertyRecords)

    @lists("getTasks", "/tasks", id_field="task_id")
    def list(
        self,
        *,
        task_type_id: str | None = None,
        task_state_id: str | None = None,
        customer_id: str | None = None,
        priority: int | None = None,
        due_date: date | str | None = None,
        task_title: str | None = None,
        task_note: str | None = None,
        **paging: Unpack[Paging],
    ) -> Listing[Task]:
        """List tasks that match all filters (`GET /tasks`).

        Args:
            task_type_id: id of the task type.
            task_state_id: id of the task state.
            customer_id: id of the customer.
            priority: see `TaskPriority`.
            due_date: day by which it is due.
            task_title: part of the title.
            task_note: part of the note.
            **paging: `count`, `offset`, `sort_field`, `sort_direction`; see `Paging`.
        """

    @posts("postTasks", "/tasks", unwrap="task_id")
    async def create(
        self,
        task: TaskInput,
        *,
        property_records: Sequence[PropertyRecordInput] | None = None,
        assignees: Sequence[TaskAssigneeInput] | None = None,
    ) -> str:
        """Create a task with its `property_records` and `assignees` and return its id (`POST /tasks`)."""

    @gets("getTask", "/tasks/{task_id}")
    async def get(self, task_id: str) -> Task:
        """Return the task with this id (`GET /tasks/{task_id}`)."""

    @puts("putTask", "/tasks/{task_id}")
    async def replace(self, task_id: str, task: TaskInput) -> None:
        """Replace a task (`PUT /tasks/{task_id}`): omitted fields are deleted."""


class TaskTypes(Resource, call="task_types"):
    """The kinds of tasks."""

    @lists("getTaskTypes", "/task-types", id_field="task_type_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[TaskType]:
        """List task types (`GET /task-types`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getTaskType", "/task-types/{task_type_id}")
    async def get(self, task_type_id: str) -> TaskType:
        """Return the task type with this id (`GET /task-types/{task_type_id}`)."""


class TaskStates(Resource, call="task_states"):
    """The states that tasks can be in."""

    @lists("getTaskStates", "/task-states", id_field="task_state_id")
    def list(self, **paging: Unpack[Paging]) -> Listing[TaskState]:
        """List task states (`GET /task-states`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getTaskState", "/task-states/{task_state_id}")
    async def get(self, task_state_id: str) -> TaskState:
        """Return the task state with this id (`GET /task-states/{task_state_id}`)."""


class TaskProperties(Resource, call="task_properties"):
    """The properties of tasks that the project has defined."""

    @lists("getTaskProperties", "/task-properties", id_field="property_id")
    def list(self, *, name: str | None = None, **paging: Unpack[Paging]) -> Listing[Property]:
        """List task properties whose name contains `name` (`GET /task-properties`).

        Also takes `count`, `offset`, `sort_field` and `sort_direction`; see `Paging`.
        """

    @gets("getTaskProperty", "/task-properties/{task_property_id}")
    async def get(self, task_property_id: str) -> Property:
        """Return the task property with this id (`GET /task-properties/{task_property_id}`)."""
