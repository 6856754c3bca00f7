"""Identifiers. Natural keys become UUIDv5, so that two creations of the same thing collide in the log itself."""

from __future__ import annotations

from uuid import UUID, uuid5

NAMESPACE = UUID("8e1f4f0a-35c7-5f0e-9c52-6d1f3a6f2b11")
"""The root of every derived id. Changing it would orphan history."""

ANONYMOUS = uuid5(NAMESPACE, "anonymous")
"""Stands for callers without a credential where a person is needed, as for the key that seals their address."""


def artifact_id(repository: UUID, path: str) -> UUID:
    """The stream of the artifact at `path`; the second publish of a path collides with the first."""
    return uuid5(NAMESPACE, f"artifact\0{repository.hex}\0{path}")


def package_id(repository: UUID, package: str) -> UUID:
    """The stream of a package by its normalised name."""
    return uuid5(NAMESPACE, f"package\0{repository.hex}\0{package}")


def claim_id(kind: str, name: str) -> UUID:
    """The stream that decides who holds a name. For personal names pass a keyed digest, not the name."""
    return uuid5(NAMESPACE, f"claim\0{kind}\0{name}")


def grant_id(principal: UUID, target: UUID) -> UUID:
    """The stream of what a principal may do to a target."""
    return uuid5(NAMESPACE, f"grant\0{principal.hex}\0{target.hex}")


def checkpoint_id(name: str) -> UUID:
    """The stream of a named position."""
    return uuid5(NAMESPACE, f"checkpoint\0{name}")


def attempts_id(user: UUID) -> UUID:
    """The stream of an account's wrong passwords."""
    return uuid5(NAMESPACE, f"attempts\0{user.hex}")


def signing_id(repository: UUID) -> UUID:
    """The stream of what signs for a repository."""
    return uuid5(NAMESPACE, f"signing\0{repository.hex}")
