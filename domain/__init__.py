"""What is true: values, aggregates and their events. Pure; no I/O, no clock, no environment."""
