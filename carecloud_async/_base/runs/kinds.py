"""`RunKind`: what a run file holds, and the errors about it."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from attrs import frozen

from carecloud_async._base.runs.database import sqlite_code
from carecloud_async.errors import CareCloudError
from carecloud_async.fixes import OTHER_PLACE, RESUME, Fix

__all__ = ["FULL", "IDENTITY", "UNWRITABLE", "MakeError", "RunKind", "is_damage", "reason_of", "why_foreign"]

#: The name of the identity in a binding. Messages about another identity never show it.
IDENTITY: Final = "identity"

#: Errors of a damaged file.
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_IN_USE: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_READ_ONLY: Final = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
#: The errors of a disk without room.
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
#: The errors of a place that this user may not write to.
UNWRITABLE: Final = frozenset({errno.EACCES, errno.EROFS})

_REASONS: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than this system allows",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.EROFS: "the file system is read-only",
    errno.ENOENT: "the directory does not exist: make it first",
    errno.ENOTDIR: "a part of the path is not a directory",
    errno.EISDIR: "it is a directory: name a file",
    errno.EILSEQ: "its name is not valid UTF-8: name it otherwise",
    errno.EPIPE: "the reader has gone",
    errno.ENOLCK: "the file system has no locks: name a file on another one",
}


class MakeError(Protocol):
    """Makes the error of a message, usually its class."""

    def __call__(self, message: str, /, *, fix: Fix | None = None) -> CareCloudError:
        """Return the error."""
        ...


def reason_of(error: OSError) -> str:
    """Return what the system's error means for a file."""
    if error.errno == errno.ENOENT and error.filename is not None and Path(error.filename).parent.is_dir():
        return "no file can be made in this folder: choose another one"  # such as /proc
    # An error of `durable_files` says more in its text than its number does.
    text = error.strerror or type(error).__name__
    system = os.strerror(error.errno) if error.errno else ""
    return _REASONS.get(error.errno or 0, text) if text == system else text


def why_foreign(before: Mapping[str, str], now: Mapping[str, str], *, name: str, each: str, own: str) -> str | None:
    """Return why the file of an earlier run must not be used; `None` if it may be.

    Args:
        before: the digests that the file is bound to, by the names that messages give them.
        now: the digests of this run.
        name: the name of the work, see `RunKind.name`.
        each: what each file is for, see `RunKind.each`.
        own: what a user gives to have another file, see `RunKind.own`.

    Returns:
        the rest of a sentence, with the fix; it names what differs, and no identity.
    """
    differing = [dependency for dependency in {**now, **before} if before.get(dependency) != now.get(dependency)]
    if IDENTITY in differing:
        return (
            "belongs to another identity: connect as the identity it was made for, or give each identity "
            f"{own} of its own"
        )
    if differing:
        names = " and ".join(differing)
        verb = "differs" if names == differing[0] and not names.endswith("s") else "differ"
        return f"belongs to another {name} (its {names} {verb}): give each {each} {own} of its own"
    return None


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error of SQLite says that the file is not what was written."""
    # Text that is not Unicode has no code.
    return sqlite_code(error) in _DAMAGED or (type(error) is sqlite3.OperationalError and not sqlite_code(error))


@frozen(kw_only=True)
class RunKind:
    """A kind of run.

    Attributes:
        name: the name of the work, such as `export`; stored in the file.
        file: what the file is called, such as `a state file of changes`.
        each: what each file is for, such as `list`.
        own: what a user gives to have another file, such as `a target`.
        version: the version of the tables.
        tables: the statements that make them.
        error: makes the errors.
        in_use_error: makes the error of a file that another run has open, where that is one of its own.
        begin_again: how to drop an earlier run.
        full: what to do when the disk is full.
        unwritable: what to do where this user may not write.
        work: what may be using the file.
        if_foreign: what else to do where a file is bound to something else.
    """

    name: str
    file: str
    each: str
    own: str
    version: int
    tables: tuple[str, ...]
    error: MakeError
    in_use_error: MakeError | None = None
    begin_again: Fix
    full: Fix = RESUME
    unwritable: Fix = OTHER_PLACE
    work: str = "run"
    if_foreign: Fix | None = None

    def in_use(self, path: Path | str) -> CareCloudError:
        """Make the error of a file that another run has open."""
        make = self.in_use_error or self.error
        return make(f"{path}: another {self.work} is using it: wait for its end")

    def not_ours(self, path: Path | str) -> CareCloudError:
        """Make the error of a file that no run of this kind made."""
        return self.error(f"{path} is not {self.file}: it is left alone; remove it, or name another file")

    def damaged(self, path: Path | str) -> CareCloudError:
        """Make the error of a file whose content is not what was written."""
        return self.error(f"{path} is damaged", fix=self.begin_again)

    def of_another_version(self, path: Path | str) -> CareCloudError:
        """Make the error of a file that another version of this package made."""
        fix = Fix(f"go on with that version, or {self.begin_again.step}")
        return self.error(f"{path} was made by another version of this package", fix=fix)

    def foreign(self, path: Path | str, before: Mapping[str, str], now: Mapping[str, str]) -> CareCloudError | None:
        """Return the error of a file that is bound to something else, which it names; `None` if it is not."""
        problem = why_foreign(before, now, name=self.name, each=self.each, own=self.own)
        return None if problem is None else self.error(f"{path} {problem}", fix=self.if_foreign)

    def of_system(self, path: Path | str, error: OSError) -> CareCloudError:
        """Make the error of a refusal of the operating system."""
        reason = reason_of(error)
        message = reason if reason.startswith(str(path)) else f"{path}: {reason}"
        fix = self.full if error.errno in FULL else self.unwritable if error.errno in UNWRITABLE else None
        return self.error(message, fix=fix)

    def of_sqlite(self, path: Path | str, error: sqlite3.Error) -> CareCloudError:
        """Make the error of a refusal of SQLite."""
        code = sqlite_code(error)
        if is_damage(error):
            return self.damaged(path)
        if code in _IN_USE:
            return self.in_use(path)
        if code == sqlite3.SQLITE_FULL:
            return self.error(f"{path}: {_REASONS[errno.ENOSPC]}", fix=self.full)
        if code in _READ_ONLY:
            return self.error(f"{path}: {_REASONS[errno.EACCES]}", fix=self.unwritable)
        if code == sqlite3.SQLITE_ERROR:  # a statement of ours that it does not know
            return self.error(f"{path}: SQLite 3.26 or newer is needed, this is {sqlite3.sqlite_version}: {error}")
        return self.error(f"{path}: {error}", fix=self.full if code == sqlite3.SQLITE_IOERR else None)
