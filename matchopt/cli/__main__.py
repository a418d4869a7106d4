"""What the script `matchopt` and `python -m matchopt` run."""

import contextlib
import os
import sys

from matchopt.cli.streams import repair_streams


def run() -> None:
    """Run the command line; a solve's server imports what workers need while this process reads options and files."""
    repair_streams()
    if "solve" in sys.argv[1:] and os.name == "posix" and not {"--cold", "--help", "-h"} & set(sys.argv):
        with contextlib.suppress(KeyboardInterrupt):
            from matchopt.run import warm

            warm.server.begin("numba")  # most solves need it
    from matchopt.cli.app import main

    main(prog_name="matchopt")


if __name__ == "__main__":
    run()
