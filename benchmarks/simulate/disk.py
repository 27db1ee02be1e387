"""The seams between processes of a simulation and the system: disk, locks, threads, and secrets.

The package takes its clock, its transport and its randomness as arguments. What it asks of the system is caught here,
in the one process in which a simulation runs:

- changes of the disk (`os.fsync`, `os.link`, `os.replace` …) and the statements of SQLite are steps, at which a process
  can be killed; a dead process changes nothing any more;
- `fcntl.flock` is noted, so that the locks of a killed process are given up;
- threads run at once, in the loop, between two short waits;
- while the disk is full, nothing is synced, made or committed;
- `secrets` draws from the seed, and `hashlib.scrypt`, slow on purpose, is a digest;
- a synced file gets the virtual time, since it is compared with what was noted.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.simulate.loop import PROCESS
from benchmarks.simulate.machine import EPOCH, Machine, Process
from carecloud_async._base.runs.publication import publish
from carecloud_async._base.runtime import threads
from carecloud_async._base.runtime.clock import boot_id

__all__ = ["caught_system"]

#: Functions of `os` that change the disk.
_CHANGES = ("replace", "rename", "unlink", "remove", "mkdir", "rmdir", "truncate", "ftruncate")
#: Those of them that a full disk lets pass.
_FREEING = ("unlink", "remove", "rmdir", "truncate", "ftruncate")

#: How often what runs in a thread waits, before it begins and after it has ended, and for how many seconds at most.
_WAITS = 0.4
_THREAD_WAIT = 0.005


#: The level of `PRAGMA synchronous` from which a commit is on the disk when it returns.
_FULL = 2
#: Statements that a full disk refuses.
_WRITES = ("INSERT", "UPDATE", "CREATE", "COMMIT", "VACUUM")


class _Connection(sqlite3.Connection):
    """A connection whose statements are steps of the process that opened it."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        process = PROCESS.get()
        if process is not None:
            process.step("opening a database")
        super().__init__(*args, **settings)
        self._process = process
        if process is not None:
            process.connections.append(self)

    def _step(self, statement: str) -> None:
        if self._process is not None and not statement.startswith(("SELECT", "PRAGMA")):
            self._process.step(f"SQL {statement[:40]!r}")
            if self._process.machine.is_full() and statement.startswith(_WRITES):
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
        elif self._process is not None and self._process.dead:
            self._process.step("")

    def execute(self, statement: str, *args: Any) -> sqlite3.Cursor:
        self._step(statement)
        found = super().execute(statement, *args)
        if self._process is not None and statement in ("COMMIT", "PRAGMA journal_mode=WAL"):
            self._note_synced(self._process.machine, is_log=statement == "COMMIT")
        return found

    def _note_synced(self, machine: Machine, *, is_log: bool) -> None:
        """Note what SQLite has synced, if its settings ask for that: the file itself, or its log and its folder."""
        (level,) = super().execute("PRAGMA synchronous").fetchone()
        (_, _, path), *_ = super().execute("PRAGMA database_list").fetchall()
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(f"{path}-wal" if is_log else path)
            if level >= (_FULL if is_log else 1):
                machine.synced[found.st_ino] = found.st_size
                machine.note_names(os.path.dirname(path))

    def executemany(self, statement: str, *args: Any) -> sqlite3.Cursor:
        self._step(statement)
        return super().executemany(statement, *args)

    def executescript(self, statements: str) -> sqlite3.Cursor:
        self._step(statements)
        return super().executescript(statements)


def _connect(original: Callable[..., sqlite3.Connection]) -> Callable[..., sqlite3.Connection]:
    def connect(database: Any, *args: Any, **settings: Any) -> sqlite3.Connection:
        # What another process holds is not given up while this one waits: nothing else runs meanwhile.
        return original(database, *args, **{**settings, "factory": _Connection, "timeout": 0.0})

    return connect


def _step(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def changed(*args: Any, **settings: Any) -> Any:
        process = PROCESS.get()
        if process is not None:
            process.step(f"{name} {_short(args[0])}")
            if name not in _FREEING:
                _require_room(process)
        return function(*args, **settings)

    return changed


def _require_room(process: Process) -> None:
    if process.machine.is_full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _short(path: object) -> str:
    """Return the name of a file, without a digest of its folder, which is another one in each run."""
    name = os.path.basename(os.fspath(path)) if isinstance(path, str | os.PathLike) else ""
    return re.sub(r"\.[0-9a-f]{8}\.partial$", ".partial", str(name))


def _link(original: Callable[..., Any]) -> Callable[..., Any]:
    def link(source: Any, target: Any, **settings: Any) -> Any:
        process = PROCESS.get()
        if process is not None:
            process.step(f"link {_short(target)}")
            _require_room(process)
            if not process.machine.has_links:
                raise OSError(errno.EPERM, os.strerror(errno.EPERM), os.fspath(source))
        return original(source, target, **settings)

    return link


def _fsync(original: Callable[..., Any]) -> Callable[..., Any]:
    def fsync(descriptor: int) -> None:
        process = PROCESS.get()
        if process is None:
            original(descriptor)
            return
        process.step("fsync")
        found, machine = os.fstat(descriptor), process.machine
        if stat.S_ISDIR(found.st_mode):
            machine.note_names(descriptor)
            return
        _require_room(process)
        machine.synced[found.st_ino] = found.st_size
        with contextlib.suppress(OSError):
            nanoseconds = int((EPOCH + machine.loop.now) * 1e9)
            os.utime(descriptor, ns=(nanoseconds, nanoseconds))

    return fsync


def _open(original: Callable[..., int]) -> Callable[..., int]:
    def opened(path: Any, flags: int, *args: Any, **settings: Any) -> int:
        process = PROCESS.get()
        if process is not None and (process.dead or flags & os.O_CREAT):
            process.step(f"open {_short(path)}")
            if flags & os.O_CREAT:
                _require_room(process)
        return original(path, flags, *args, **settings)

    return opened


def _flock(original: Callable[..., None]) -> Callable[..., None]:
    def flock(descriptor: Any, operation: int) -> None:
        process = PROCESS.get()
        if process is None:
            original(descriptor, operation)
            return
        if process.dead and not operation & fcntl.LOCK_UN:
            process.step("flock")
        original(descriptor, operation)
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        if operation & fcntl.LOCK_UN:
            process.locks.discard(number)
        else:
            process.locks.add(number)

    return flock


def _lockf(original: Callable[..., Any]) -> Callable[..., Any]:
    def lockf(file: Any, operation: int, *args: Any) -> Any:
        process = PROCESS.get()
        if process is not None and not operation & fcntl.LOCK_UN:
            _note_lock(process, file)
        return original(file, operation, *args)

    return lockf


def _fcntl(original: Callable[..., Any]) -> Callable[..., Any]:
    def control(file: Any, command: int, *args: Any) -> Any:
        process = PROCESS.get()
        if process is None or command != getattr(fcntl, "F_OFD_SETLK", None):
            return original(file, command, *args)
        # The package's list of its own files decides: a real lock would outlive a process that is killed here.
        _note_lock(process, file)
        return args[0]

    return control


def _note_lock(process: Process, file: Any) -> None:
    process.step("lockf")
    found = os.fstat(file if isinstance(file, int) else file.fileno())
    process.machine.holders[found.st_dev, found.st_ino] = process


class _InlineThreads:
    """Stands in for `anyio.to_thread`: the work runs in the loop."""

    async def run_sync(self, work: Callable[[], Any], **_: Any) -> Any:
        process = PROCESS.get()
        if process is None:
            return work()
        before, after = process.dice.random(), process.dice.random()
        if before < _WAITS:
            await asyncio.sleep(before * _THREAD_WAIT)
        result = work()
        if after < _WAITS:
            await asyncio.sleep(after * _THREAD_WAIT)
        return result


class _InlineThread:
    """Stands in for `threading.Thread` in `run_with`: it has ended when `start` returns."""

    def __init__(self, *, target: Callable[[], None], name: str) -> None:
        self._target = target
        self.name = name

    def start(self) -> None:
        self._target()

    def join(self) -> None:
        """Has ended."""


def _token_hex(original: Callable[..., str]) -> Callable[..., str]:
    def token_hex(nbytes: int | None = None) -> str:
        process = PROCESS.get()
        return original(nbytes) if process is None else process.dice.randbytes(nbytes or 32).hex()

    return token_hex


def _token_bytes(original: Callable[..., bytes]) -> Callable[..., bytes]:
    def token_bytes(nbytes: int | None = None) -> bytes:
        process = PROCESS.get()
        return original(nbytes) if process is None else process.dice.randbytes(nbytes or 32)

    return token_bytes


def _boot_id(original: Callable[[], str | None]) -> Callable[[], str | None]:
    def boot() -> str | None:
        process = PROCESS.get()
        return original() if process is None else f"boot {process.machine.boot}"

    return boot


def _scrypt(secret: bytes, *, salt: bytes, dklen: int = 64, **_: int) -> bytes:
    return hashlib.sha512(salt + secret).digest()[:dklen]


@contextmanager
def caught_system() -> Iterator[None]:
    """Catch what processes ask of the system, in a block."""
    with contextlib.ExitStack() as stack:

        def catch(where: Any, name: str, value: Any) -> None:
            stack.callback(setattr, where, name, getattr(where, name))
            setattr(where, name, value)

        for name in _CHANGES:
            catch(os, name, _step(name, getattr(os, name)))
        catch(os, "link", _link(os.link))
        defaults = publish.__kwdefaults__
        stack.callback(defaults.__setitem__, "link", defaults["link"])
        defaults["link"] = os.link
        catch(os, "fsync", _fsync(os.fsync))
        catch(os, "open", _open(os.open))
        catch(fcntl, "flock", _flock(fcntl.flock))
        catch(fcntl, "lockf", _lockf(fcntl.lockf))
        catch(fcntl, "fcntl", _fcntl(fcntl.fcntl))
        catch(sqlite3, "connect", _connect(sqlite3.connect))
        catch(secrets, "token_hex", _token_hex(secrets.token_hex))
        catch(secrets, "token_bytes", _token_bytes(secrets.token_bytes))
        catch(hashlib, "scrypt", _scrypt)
        for module in [*sys.modules.values()]:
            if getattr(module, "boot_id", None) is boot_id and module.__name__.startswith("carecloud_async."):
                catch(module, "boot_id", _boot_id(boot_id))
        catch(threads, "to_thread", _InlineThreads())
        catch(threads, "Thread", _InlineThread)
        catch(threads.ThreadYielder, "rest", lambda _: None)
        yield
