"""The command line: one thin file a command. What needs two tiers of the package is joined here.

Exit codes: 0 fine, 1 a result that failed, 2 bad usage or input (one line on stderr says what and why).
"""

from groupnl.cli.app import main

__all__ = ["main"]
