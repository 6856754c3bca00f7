"""The catalogue: repositories, packages, versions, marks, artifacts, blob references, revisions."""
