"""The command as a process of its own, and waiting for what such a process does."""

import signal
import sys
import time

PROGRAM = [sys.executable, "-c", "from carecloud_async.cli import main; main()"]

#: The same where a shell has made the program ignore Ctrl-C, as for what runs in the background.
IGNORING_CTRL_C = [
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from carecloud_async.cli import main; main()",
]


def heed_ctrl_c():
    """Let a new process heed Ctrl-C, which it ignores where this one runs in the background: its `preexec_fn`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
