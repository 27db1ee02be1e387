"""From requests to answers.

`serving` is the ASGI app, the transport in process and the socket. `pipeline` is the way of one request: it is recorded
(`recording`), held against the rules of the API, and may fail (`faults`).
"""
