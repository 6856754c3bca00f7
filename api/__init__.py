"""Every way in: HTTP, command line, processes."""
