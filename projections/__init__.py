"""What can be seen: read models folded from the log, and the queries over them."""
