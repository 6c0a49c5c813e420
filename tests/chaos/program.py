"""``python -m tests.chaos.program worker``: a program of the warehouse, with the clock of its house."""

from __future__ import annotations

import sys

from flask.cli import main

from tests.chaos.clock import install_from_environment

if __name__ == "__main__":
    install_from_environment()
    sys.argv = ["flask", "--app", "host_app", *sys.argv[1:]]
    main()
