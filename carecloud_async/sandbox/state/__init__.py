"""The state of one sandbox: customers, tables, tokens, users, clock."""
