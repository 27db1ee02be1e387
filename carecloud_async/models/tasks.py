"""Tasks: read models, inputs, changes."""

from __future__ import annotations

from datetime import date
from enum import IntEnum
from typing import TypedDict

from attrs import field, frozen

from carecloud_async._base.codec.fields import UNSET, Unset
from carecloud_async.models.base import PERSONAL, READ_ONLY, Input, LocalDatetime, Model, Updatable


class TaskPriority(IntEnum):
    """Values of `Task.task_priority`."""

    CRITICAL = 1
    MAJOR = 2
    NORMAL = 3
    MINOR = 4


@frozen(kw_only=True, repr=False)
class Task(Updatable):
    """A task for users."""

    task_id: str = field(metadata=READ_ONLY)
    task_type_id: str | None = None
    task_state_id: str | None = None
    customer_id: str | None = None
    task_note: str | None = field(default=None, metadata=PERSONAL)
    """Text of the task."""
    task_title: str | None = None
    """Title of the task."""
    task_priority: int | None = None
    """Priority of the task: 1 critical, 2 major, 3 normal, 4 minor (`TaskPriority`)."""
    due_date: date | None = None
    """Day by which it is due."""
    created_at: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class TaskAssignee(Model):
    """A user who is to do a task."""

    task_assignee_id: str = field(metadata=READ_ONLY)
    user_id: str | None = None
    name: str | None = field(default=None, metadata=READ_ONLY)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class TaskComment(Model):
    """A comment on a task."""

    task_comment_id: str = field(metadata=READ_ONLY)
    task_id: str | None = field(default=None, metadata=READ_ONLY)
    text: str | None = field(default=None, metadata=PERSONAL)
    last_change: LocalDatetime | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class TaskType(Model):
    """A kind of task."""

    task_type_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    text_id: str | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class TaskState(Model):
    """A state that tasks can be in."""

    task_state_id: str = field(metadata=READ_ONLY)
    name: str | None = None
    text_id: str | None = field(default=None, metadata=READ_ONLY)
    state: int | None = field(default=None, metadata=READ_ONLY)


@frozen(kw_only=True, repr=False)
class TaskInput(Input, reads=Task):
    """A task to be written; the fields are those of `Task`."""

    task_type_id: str
    task_state_id: str
    customer_id: str
    task_title: str
    task_priority: int
    task_note: str | Unset | None = UNSET
    due_date: date | str | Unset | None = UNSET


@frozen(kw_only=True, repr=False)
class TaskAssigneeInput(Input, reads=TaskAssignee):
    """A task assignee to be written; the fields are those of `TaskAssignee`."""

    user_id: str


@frozen(kw_only=True, repr=False)
class TaskCommentInput(Input, reads=TaskComment):
    """A task comment to be written; the fields are those of `TaskComment`."""

    text: str


class TaskChanges(TypedDict, total=False):
    """Parts of `Task` to change."""

    task_type_id: str
    task_state_id: str
    customer_id: str
    task_note: str | None
    task_title: str
    task_priority: int
    due_date: date | str | None
