"""One request: HTTP, identities and tokens, rate limits, and the call that uses them."""
