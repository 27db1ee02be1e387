"""A server of the Model Context Protocol: an assistant reads a project, and writes what it was allowed to.

`carecloud mcp` runs it on stdin and stdout. It needs the extra `mcp`.
"""

try:
    import mcp  # noqa: F401  (looked for here, to name the extra)
except ImportError as _error:
    raise ModuleNotFoundError(
        "carecloud_async.agents needs the extra mcp: pip install 'carecloud-async[mcp]'", name="mcp"
    ) from _error

from carecloud_async.agents.server import make_server

__all__ = ["make_server"]
