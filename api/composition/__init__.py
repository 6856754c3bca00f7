"""The composition root: the only package that imports all five. Nothing is decided here, only wired."""
