"""Remote repositories: what of an upstream is asked for, kept, and good for how long. Written once, for all formats."""
