"""The command `carecloud`. What it needs beyond the SDK comes with the extra `cli`, and is imported when it runs."""

from __future__ import annotations

import sys

__all__ = ["main"]

#: What the extra brings, by the names under which it is imported.
_EXTRA = {"rich", "typer"}


def main() -> None:
    """Run the command line and leave with its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    try:
        from carecloud_async.cli.app import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        sys.stderr.write("carecloud: the command needs the extra cli: pip install 'carecloud-async[cli]'\n")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        sys.stderr.write("carecloud: interrupted\n")
        raise SystemExit(130) from None
    raise SystemExit(run(sys.argv[1:]))
