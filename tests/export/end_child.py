"""Run as a process of its own: exports killed at each step of their end, each gone on from by another process.

Prints a line of JSON for each: the number of the step, what stood there after the kill, and how the next run ended.
"""

import asyncio
import contextlib
import importlib
import json
import os
import shutil
import signal
import sys
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace

from disks import watch_databases
from kit import connect

from carecloud_async.sandbox import Sandbox

SANDBOX = Sandbox(customers=120, seed=1)
#: Set when the end of the list is read.
finishing = threading.Event()
#: Events of the interpreter by which files change.
CHANGES = {"open", "os.rename", "os.link", "os.remove", "os.rmdir", "os.chmod", "os.mkdir", "shutil.rmtree"}


def kill_at(step):
    """Kill this process before the step of that number, counted from where the list has been read."""
    left = step

    def count(is_step):
        nonlocal left
        if is_step and finishing.is_set():
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    watch_databases(SimpleNamespace(setattr=setattr), lambda _, statement: count(statement == "COMMIT"))
    sys.addaudithook(lambda event, _: count(event in CHANGES))


def look(request):
    if int(dict(request.query).get("offset", 0)) >= 100:
        finishing.set()


SANDBOX.on_page = look


async def export(target, *, resume, overwrite):
    async with connect(SANDBOX) as client:
        report = await client.customers.list(count=60).export(target, resume=resume, overwrite=overwrite)
    return report.records


def in_a_process(work):
    """Run it in a fork; return its exit code, or minus the signal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: those of pyarrow are at rest here
        process = os.fork()
    if not process:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  (printed, and looked at by the test)
            sys.stdout.write(f"{error!r}\n")
            sys.stdout.flush()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def import_what_an_export_imports(folder, target):
    """Import it here, before the forks: each would import it for itself, which is most of what a fork does."""
    folder.mkdir()
    names = folder / "names"

    def look():
        asyncio.run(export(target, resume=True, overwrite=True))
        names.write_text("\n".join(sys.modules), encoding="utf-8")

    assert in_a_process(look) == 0
    for name in names.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ImportError):  # modules that libraries make up
            importlib.import_module(name)


def main(folder, name, protocol, resume, overwrite):
    target = f"{protocol}{folder / name}"
    import_what_an_export_imports(folder, target)
    for step in range(1000):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if overwrite:
            (folder / name).write_bytes(b"old")

        def first(step=step):
            kill_at(step)
            asyncio.run(export(target, resume=resume, overwrite=overwrite))

        def second():
            assert asyncio.run(export(target, resume=True, overwrite=overwrite)) == 120

        code = in_a_process(first)
        data = (folder / name).read_bytes() if (folder / name).exists() else None
        line = {"step": step, "code": code, "content": {None: "nothing", b"old": "old"}.get(data, "new")}
        line["next"] = in_a_process(second)
        line["whole"] = len((folder / name).read_bytes()) > 1000
        line["left"] = sorted(file.name for file in folder.iterdir() if file.name != "cache")
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        if not code:
            return


if __name__ == "__main__":
    place, name, protocol, *flags = sys.argv[1:]
    main(Path(place), name, protocol, *("yes" in flag for flag in flags))
