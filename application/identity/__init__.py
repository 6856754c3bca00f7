"""Who calls: accounts, credentials, sessions, tokens, grants, and what was refused."""
