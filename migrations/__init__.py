"""The database schema as numbered SQL files; see README.md for the rules."""
