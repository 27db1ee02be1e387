"""Child processes of tests."""

import subprocess
import sys
from contextlib import contextmanager


@contextmanager
def children(script, **options):
    """Give a function that starts a script of Python with arguments; what still runs at the end is killed."""
    started = []

    def start(*arguments):
        command = [sys.executable, str(script), *map(str, arguments)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.communicate()
