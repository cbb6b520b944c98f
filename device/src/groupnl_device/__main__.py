"""``python -m groupnl_device``: the command, where its script is not on the path."""

import sys

from groupnl_device.cli import main

if __name__ == "__main__":
    sys.exit(main())
