"""`python -m carecloud_async.cli`, for where the `carecloud` command is not on the path."""

from __future__ import annotations

from carecloud_async.cli import main

main()
