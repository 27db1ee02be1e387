"""Runs: pieces of work that may be killed at any moment, go on where they were, and end with a file that is whole."""

from carecloud_async._base.runs.append_file import AppendFile, FileChangedError, Mark
from carecloud_async._base.runs.database import IN_MEMORY, TEMPORARY, Database, sqlite_code
from carecloud_async._base.runs.kinds import FULL, IDENTITY, UNWRITABLE, RunKind, reason_of, why_foreign
from carecloud_async._base.runs.publication import Publication, partial_path, publish, publish_folder
from carecloud_async._base.runs.run_file import Earlier, RunFile
from carecloud_async._base.runs.work_folder import WorkFolder

__all__ = [
    "FULL",
    "IDENTITY",
    "IN_MEMORY",
    "TEMPORARY",
    "UNWRITABLE",
    "AppendFile",
    "Database",
    "Earlier",
    "FileChangedError",
    "Mark",
    "Publication",
    "RunFile",
    "RunKind",
    "WorkFolder",
    "partial_path",
    "publish",
    "publish_folder",
    "reason_of",
    "sqlite_code",
    "why_foreign",
]
