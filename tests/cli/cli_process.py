"""The command as a process of its own."""

import signal
import sys

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
