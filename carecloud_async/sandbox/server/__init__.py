"""The server: ASGI app, pipeline, transport, faults."""
