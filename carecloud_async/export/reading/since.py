"""The times given as `changed_since`, and their meaning in project-local time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from attrs import evolve, frozen

from carecloud_async.codec.fields import field_types, is_model
from carecloud_async.export.errors import BadExportError
from carecloud_async.export.reading.times import FIELD
from carecloud_async.export.source import ExportSource
from carecloud_async.fixes import Fix
from carecloud_async.project import Project

__all__ = ["OVERLAP", "Since", "has_changes", "parse_since", "require_changes"]

#: How far the next mark lies before the start of an export: lists show a change with a delay, and the
#: clocks of one installation differ.
OVERLAP = timedelta(minutes=2)

#: Local clocks never go back by more than this.
_LONGEST_FOLD = timedelta(hours=3)


@frozen(kw_only=True)
class Since:
    """The start of the wanted changes.

    Attributes:
        moment: in UTC.
        local: the lower bound for `last_change`, naive and project-local. If clocks go back within three hours of
            `moment`, it can be earlier than `moment` in local time.
    """

    moment: datetime
    local: datetime

    def earlier(self, lag: timedelta) -> Since:
        """Return the start for a list whose times lie behind the project's by a lag."""
        return evolve(self, local=self.local - lag)


def has_changes(source: ExportSource) -> bool:
    """Return whether the records of a list say when they changed."""
    return is_model(source.into) and FIELD in field_types(source.into)


def require_changes(source: ExportSource) -> None:
    """Raise unless a list can be read by change.

    Raises:
        BadExportError: its records do not say when they changed, or it has a sort of the user's own.
    """
    if not has_changes(source):
        raise BadExportError(f"the records of {source.name} have no {FIELD}", fix=Fix("leave {changed_since} out"))
    if source.params.get("sort_field") is not None:
        raise BadExportError("changes are read in the order of their time", fix=Fix("leave {sort_field} out"))


def parse_since(value: datetime | str, project: Project) -> Since:
    """Parse `changed_since`.

    Raises:
        BadExportError: it is not a time, or one that the project's clocks showed twice or never.
    """
    moment = _moment(_parse(value), project.timezone)
    return Since(moment=moment, local=_earliest_local(moment, project))


def _parse(value: datetime | str) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.strip())
        except ValueError:
            pass
    raise BadExportError(
        "changed_since must be a datetime or ISO 8601 text such as 2026-11-01T00:00 (project-local) or "
        "2026-11-01T00:00+01:00"
    )


def _moment(value: datetime, zone: ZoneInfo) -> datetime:
    if value.tzinfo is not None:
        try:
            return value.astimezone(UTC)
        except OverflowError:
            raise BadExportError("the time is out of range", fix=Fix("correct {changed_since}")) from None
    early, late = (value.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    try:
        moment = early.astimezone(UTC)
        if early.utcoffset() != late.utcoffset():
            exists = moment.astimezone(zone).replace(tzinfo=None) == value
            problem = "happens twice" if exists else "does not exist"
            raise BadExportError(
                f"{value.isoformat()} {problem} in {zone.key} (clocks change)",
                fix=Fix(f"add an offset to {{changed_since}}, such as {early.isoformat()}"),
            )
    except OverflowError:
        raise BadExportError("the time is out of range", fix=Fix("correct {changed_since}")) from None
    return moment


def _earliest_local(moment: datetime, project: Project) -> datetime:
    minute = timedelta(minutes=1)
    whole = moment.replace(second=0, microsecond=0)
    try:
        later = [whole + minute * step for step in range(1, int(_LONGEST_FOLD / minute))]
        return min(project.to_local(one) for one in (moment, *later))
    except OverflowError:
        return project.to_local(moment)
