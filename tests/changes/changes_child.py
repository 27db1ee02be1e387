"""Writes the changes of customers to a file, and kills itself at a step: URL, target, state, step."""

import os
import signal
import sys

import anyio

from carecloud_async import CareCloud
from carecloud_async.changes import file as files
from carecloud_async.changes.file import ChangesFileOptions, write_changes
from carecloud_async.changes.state_file import StateFile
from carecloud_async.changes.values import ChangesOptions
from carecloud_async.sandbox import Sandbox


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def after(function):
    def run(*arguments, **options):
        function(*arguments, **options)
        die()

    return run


STEPS = {
    "before the file": lambda: setattr(files._ChangesFile, "write", die),
    "after the file": lambda: setattr(files._ChangesFile, "write", after(files._ChangesFile.write)),
    "before the commit": lambda: setattr(StateFile, "commit_and_go_on", die),
    "after the commit": lambda: setattr(StateFile, "commit_and_go_on", after(StateFile.commit_and_go_on)),
    "after the rename": lambda: setattr(files, "_publish", after(files._publish)),
    "before the end": lambda: setattr(StateFile, "commit", die),
}


async def main(url, target, state, step):
    STEPS[step]()
    async with CareCloud(url, auth=Sandbox(customers=0).credentials()) as client:
        source = client.customers.list().export_source()
        await write_changes(source, target, state, ChangesOptions(), ChangesFileOptions(overwrite=True))


anyio.run(main, *sys.argv[1:])
