"""How fast calls may leave: a configured rate, one that is found, and one that processes share."""
