"""Uploads that go on after a break: sessions of chunks."""
