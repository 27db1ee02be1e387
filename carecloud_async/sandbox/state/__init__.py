"""What one sandbox holds: customers, tokens, users, clock."""
