"""The management API: one controller and its structs a module."""
