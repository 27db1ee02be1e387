"""Identities and their tokens."""
