"""Search in PostgreSQL: full text and trigrams over what is there now."""
