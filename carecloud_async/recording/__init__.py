"""A recording of a project: its lists with made-up values, in a file from which a sandbox starts."""

from __future__ import annotations

from carecloud_async.recording.record import RecordedList, RecordingReport, record

__all__ = ["RecordedList", "RecordingReport", "record"]
