"""From requests to answers.

`app` is the ASGI app and the transport in process, `serving` the socket. `pipeline` is the way of one request: it is
recorded (`recording`), held against the rules of the API (`conformance`), and may fail (`faults`).
"""
