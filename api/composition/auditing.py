"""What an auditor's commands need: no settings, no database, only the key that they trust."""

from __future__ import annotations

from domain.transparency.notes import NoteVerifier, parse_verifier_key
from infrastructure.signing.ed25519 import Ed25519Verifier


def verifier_of(verifier_key: str) -> NoteVerifier:
    """The verifier that a key's text means; raises Invalid."""
    return Ed25519Verifier(parse_verifier_key(verifier_key.strip()))
