"""PostgreSQL: connections, migrations, the event log."""
