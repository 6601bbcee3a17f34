"""``python -m tinygrad_jac``: see `commandline`."""

import sys

from .commandline import main

if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without ± is no reason to fail
    sys.exit(main())
