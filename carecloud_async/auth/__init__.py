"""Who calls, and with which token."""
