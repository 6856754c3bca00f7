"""What makes the log provable: tree, tiles, signed notes, bundles and their audit. No storage."""
