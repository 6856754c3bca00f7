"""The catalogue's tables as the fold sees them."""

from __future__ import annotations

from projections.history import Column, HistoryTable

_PACKAGE_KEY = (Column("repository", "uuid"), Column("package", "text"))


def repository_table() -> HistoryTable:
    """Repositories by id."""
    return HistoryTable(
        "view_repository",
        [Column("repository", "uuid")],
        [
            Column("key", "text"),
            Column("name", "text"),
            Column("description", "text"),
            Column("format", "text"),
            Column("kind", "text"),
            Column("public", "boolean"),
            Column("settings", "text"),
            Column("source", "uuid"),
            Column("source_position", "bigint"),
            Column("created_at", "timestamptz"),
            Column("created_by", "uuid"),
            Column("updated_at", "timestamptz"),
        ],
    )


def package_table() -> HistoryTable:
    """Packages that have artifacts."""
    return HistoryTable(
        "view_package",
        _PACKAGE_KEY,
        [
            Column("name", "text"),
            Column("created_at", "timestamptz"),
            Column("artifacts", "int", loose=True),
            Column("updated_at", "timestamptz", loose=True),
        ],
    )


def version_table() -> HistoryTable:
    """Versions that have artifacts."""
    return HistoryTable(
        "view_version",
        [*_PACKAGE_KEY, Column("version", "text")],
        [
            Column("created_at", "timestamptz"),
            Column("created_by", "uuid"),
            Column("yanked", "text"),
            Column("deprecated", "text"),
            Column("artifacts", "int", loose=True),
        ],
    )


def mark_table() -> HistoryTable:
    """Tags, owners and status of packages."""
    return HistoryTable(
        "view_mark", [*_PACKAGE_KEY, Column("kind", "text"), Column("name", "text")], [Column("value", "text")]
    )


def artifact_table() -> HistoryTable:
    """Artifacts by id."""
    return HistoryTable(
        "view_artifact",
        [Column("artifact", "uuid")],
        [
            Column("repository", "uuid"),
            Column("path", "text"),
            Column("package", "text"),
            Column("name", "text"),
            Column("version", "text"),
            Column("sha256", "text"),
            Column("size_bytes", "bigint"),
            Column("media_type", "text"),
            Column("digests", "text"),
            Column("metadata", "text"),
            Column("metadata_blob", "text"),
            Column("blobs", "text"),
            Column("properties", "text"),
            Column("revision", "int"),
            Column("published_at", "timestamptz"),
            Column("published_by", "uuid"),
        ],
    )
