"""The entry point ``scholars``: run a command, print errors, exit with a code."""

import io
import sys
import warnings

from scholars.cli.app import app
from scholars.cli.console import fail, hoist_quiet, repeat_options, warn
from scholars.errors import InputError, Interrupted, ScholarsError, pass_on_warnings

# isort: off
# Imported for the commands that they add to `app`, in the order of `scholars --help`.
from scholars.cli import learn, infer, report, run, sweep, serve
# isort: on

__all__ = ["app", "infer", "learn", "main", "report", "run", "serve", "sweep"]


def main() -> None:
    """Run the command of ``sys.argv``; an error becomes one message and an exit code."""
    sys.argv[1:] = hoist_quiet(repeat_options(sys.argv[1:]))
    warnings.showwarning = pass_on_warnings(warn)
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            # The name of a file may not be valid text.
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
