"""What can be asked: commands, queries, the contract of a format, and the formats themselves."""
