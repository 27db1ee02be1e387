"""A server of the Model Context Protocol: an assistant reads a project, and writes what it was allowed to.

`carecloud mcp` runs it on stdin and stdout. It needs the extra `mcp`.
"""

from carecloud_async.agents.server import make_server

__all__ = ["make_server"]
