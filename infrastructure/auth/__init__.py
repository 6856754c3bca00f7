"""Passwords, session tokens and the other secrets by which callers show who they are."""
