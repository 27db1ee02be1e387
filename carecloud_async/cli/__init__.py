"""The command `carecloud`. What it needs beyond the SDK comes with the extra `cli`, and is imported when it runs."""

from __future__ import annotations

import sys

__all__ = ["main"]

#: What the extra brings, by the names under which it is imported.
_EXTRA = {"rich", "typer"}


def main() -> None:
    """Run the command line and leave with its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    # These two import nothing else: SIGTERM is heeded while the rest is being imported.
    from carecloud_async.cli.console import INTERRUPTED, prepare_streams, say, sigterm_as_ctrl_c

    prepare_streams()
    try:
        with sigterm_as_ctrl_c(ends_process=True):
            from carecloud_async.cli.app import run

            code = run(sys.argv[1:])
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        say("the command needs the extra cli: pip install 'carecloud-async[cli]'")
        code = 1
    except KeyboardInterrupt:
        say("interrupted")
        code = INTERRUPTED
    raise SystemExit(code)
