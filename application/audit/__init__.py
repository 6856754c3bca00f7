"""The log as evidence: entries, exports, replays, live streams, proofs."""
