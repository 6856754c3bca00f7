"""What was promoted, rejected and asked for."""
