"""Download counts: written in batches by every process that serves files, and the queries over them."""
