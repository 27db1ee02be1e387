"""`carecloud sandbox`: a made-up CareCloud to develop against."""

from __future__ import annotations

from typing import Annotated

import typer

from carecloud_async.cli.connect import embedded_sandbox
from carecloud_async.cli.console import INTERRUPTED, put, say


def sandbox(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port to listen on; 0 chooses a free one.")
    ] = 8000,
    customers: Annotated[
        int, typer.Option(min=0, metavar="N", help="Number of made-up customers, and of records in every other list.")
    ] = 10_000,
) -> int:
    """Serve a made-up CareCloud until Ctrl-C or SIGTERM, and print the settings for clients.

    Logins, customers and errors behave like those of the real API; the other lists have made-up records. Nothing leaves
    this machine.

    Example: carecloud sandbox --port 8000 --customers 500
    """
    server = embedded_sandbox(customers)
    server.serve(host, port, on_ready=lambda url: _introduce(url, customers))
    say("the sandbox is stopped")
    return INTERRUPTED


def _introduce(url: str, customers: int) -> None:
    from carecloud_async import sandbox as known

    settings = {
        "CARECLOUD_PROJECT_URL": url,
        "CARECLOUD_EXTERNAL_APPLICATION_ID": known.USER_APPLICATION_ID,
        "CARECLOUD_LOGIN": known.USER_LOGIN,
        "CARECLOUD_PASSWORD": known.USER_PASSWORD,
    }
    lines = [f"# A sandbox with {customers:,} customers at {url}; copy these lines into another terminal:"]
    lines += [f"export {name}={value}" for name, value in settings.items()]
    login = f"{known.FIRST_CUSTOMER_EMAIL} / {known.CUSTOMER_PASSWORD}"
    lines += [f"# A customer logs in as {login} on a device of {known.CUSTOMER_APPLICATION_ID}."]
    lines += ["carecloud total customers", "# Ctrl-C stops it."]
    put("\n".join(lines).encode() + b"\n")
