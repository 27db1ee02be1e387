"""HTTP: the client, its transport, networking and redaction."""
