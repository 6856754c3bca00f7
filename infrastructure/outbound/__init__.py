"""The one way out of this server."""
