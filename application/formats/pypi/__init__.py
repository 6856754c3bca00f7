"""Python packages: wheels and source distributions for pip, uv, Poetry, twine and their kin."""
