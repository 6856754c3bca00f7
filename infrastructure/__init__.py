"""How ports are kept: PostgreSQL, blobs, caches, processes."""
