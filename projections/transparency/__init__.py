"""The transparency log: the Merkle tree over all events, and the checkpoints that were signed."""
