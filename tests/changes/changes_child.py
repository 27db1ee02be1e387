"""Writes the changes of customers to a file, and kills itself at a step: URL, target, state, step.

Or it writes them a number of times, and sends a list of what each attempt said.
"""

import os
import signal
import sqlite3
import sys
from functools import partial

import anyio

from carecloud_async import CareCloud, ExportError
from carecloud_async.sandbox import Sandbox

#: What the process does with the disk until the step at which it dies, in order; it does other things in between.
STEPS = {
    "before the file": ["create"],
    "after the file": ["create", "sync"],
    "before the commit": ["create", "sync", "commit"],
    "after the commit": ["create", "sync", "commit", "committed"],
    "after the rename": ["create", "sync", "commit", "committed", "rename"],
    "before the end": ["create", "sync", "commit", "committed", "rename", "commit"],
}


class Disk:
    """Sees what the process does with the disk, and kills it at the last of some actions.

    Args:
        target: the file of changes; it is written to a hidden one first.
        actions: the actions, in order.
    """

    def __init__(self, target, actions):
        self._folder = os.path.dirname(target)
        self._actions = actions
        sys.addaudithook(self._audit)
        os.fsync = self._after(os.fsync, "sync")
        os.link, os.replace = (self._after(rename, "rename", target) for rename in (os.link, os.replace))
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, statement, *values):
                if statement == "COMMIT":
                    disk.act("commit")
                rows = super().execute(statement, *values)
                if statement == "COMMIT":
                    disk.act("committed")
                return rows

        sqlite3.connect = partial(sqlite3.connect, factory=Connection)

    def act(self, action):
        """Note an action; die if it was the last one."""
        if action == self._actions[0]:
            del self._actions[0]
        if not self._actions:
            os.kill(os.getpid(), signal.SIGKILL)

    def _audit(self, event, arguments):
        folder, name = os.path.split(str(arguments[0])) if event == "open" else ("", "")
        if folder == self._folder and name.startswith("."):
            self.act("create")

    def _after(self, function, action, target=None):
        def call(*arguments):
            function(*arguments)
            if target is None or str(arguments[1]) == target:
                self.act(action)

        return call


async def main(url, target, state, step):
    times, _, rest = step.partition(" ")
    if rest != "times":
        Disk(target, list(STEPS[step]))
    ends = []
    async with CareCloud(url, auth=Sandbox(customers=0).credentials(), rate_limit=None) as client:
        changes = client.customers.list().changes(state=state)
        while ends.count("done") < (int(times) if rest == "times" else 1):
            try:
                await changes.to_file(target, overwrite=True)
                ends.append("done")
            except ExportError as error:
                ends.append(str(error))
                await anyio.sleep(0.005)
    return ends


def run(pipe, *arguments):
    """Do so in this process, a forked one, and send what each attempt said."""
    pipe.send(anyio.run(main, *arguments))
