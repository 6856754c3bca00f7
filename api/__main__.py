"""`artifact-keeper`: every process and every maintenance command."""

from __future__ import annotations

import sys

from api.cli import root
from domain.errors import RegistryError, Unavailable

EXIT_USAGE = 2
EXIT_UNAVAILABLE = 3


def main() -> None:
    """Run a command. Exit status: 0 done, 1 found something wrong, 2 wrong use or setting, 3 something is away."""
    try:
        root.artifact_keeper.main(prog_name="artifact-keeper")
    except RegistryError as error:
        sys.stderr.write(f"artifact-keeper: {error}\n")
        sys.exit(EXIT_UNAVAILABLE if isinstance(error, Unavailable) else EXIT_USAGE)


if __name__ == "__main__":
    main()
