"""The command line: a command's words in, its exit code out. The commands themselves are in `scholars.commands`."""

from __future__ import annotations

import io
import sys
import warnings

from scholars.commands import experiments, life, look, serving, sweeping, use
from scholars.commands.app import app
from scholars.errors import InputError, Interrupted, ScholarsError
from scholars.terminal import fail, passing_on, quiet, spread, warn

# Imported for the commands that they add to `app`; the order is that of `scholars --help`.
__all__ = ["app", "experiments", "life", "look", "main", "serving", "sweeping", "use"]


def main() -> None:
    """Entry point: errors become one message and an exit code."""
    sys.argv[1:] = quiet(spread(sys.argv[1:]))
    warnings.showwarning = passing_on(warn)
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            # A file's name need not be text, and is passed on all the same.
            stream.reconfigure(errors="surrogateescape")
    try:
        app()
    except InputError as error:
        fail(str(error), 2)
    except Interrupted as error:
        fail(str(error), 130)
    except KeyboardInterrupt:
        fail("interrupted", 130)
    except (ScholarsError, OSError) as error:
        fail(str(error), 1)
