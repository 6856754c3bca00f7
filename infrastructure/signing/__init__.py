"""Keys that sign for the registry."""
