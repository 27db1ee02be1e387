"""Writes the changes of customers to a file, and kills itself at a step: URL, target, state, step.

Or it writes them a number of times, and prints a list of what each attempt said.
"""

import json
import os
import signal
import sys

import anyio

from carecloud_async import CareCloud, ExportError
from carecloud_async._lists.changes import file as files
from carecloud_async._lists.changes.file import ChangesFileOptions, write_changes
from carecloud_async._lists.changes.state_file import StateFile
from carecloud_async._lists.changes.values import ChangesOptions
from carecloud_async.sandbox import Sandbox


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def after(function):
    def run(*arguments, **options):
        function(*arguments, **options)
        die()

    return run


FILE, WRITTEN = files._ChangesFile, files.WrittenChanges
STEPS = {
    "before the file": lambda: setattr(FILE, "_write", die),
    "after the file": lambda: setattr(FILE, "_write", after(FILE._write)),
    "before the commit": lambda: setattr(StateFile, "commit", die),
    "after the commit": lambda: setattr(StateFile, "commit", after(StateFile.commit)),
    "after the rename": lambda: setattr(FILE, "_give_name", after(FILE._give_name)),
    "before the end": lambda: setattr(WRITTEN, "confirm", die),
}


async def main(url, target, state, step):
    times, _, rest = step.partition(" ")
    if rest != "times":
        STEPS[step]()
    ends = []
    async with CareCloud(url, auth=Sandbox(customers=0).credentials(), rate_limit=None) as client:
        source = client.customers.list().export_source()
        while ends.count("done") < (int(times) if rest == "times" else 1):
            try:
                await write_changes(source, target, state, ChangesOptions(), ChangesFileOptions(overwrite=True))
                ends.append("done")
            except ExportError as error:
                ends.append(str(error))
                await anyio.sleep(0.005)
    sys.stdout.write(json.dumps(ends))


anyio.run(main, *sys.argv[1:])
