"""The entry point ``scholars``: run a command, print errors, exit with a code."""

import codecs
import io
import sys
import warnings

from scholars.cli.app import app
from scholars.cli.console import fail, hoist_quiet, repeat_options, warn
from scholars.errors import InputError, Interrupted, ScholarsError, pass_on_warnings

# isort: off
# Imported for the commands that they add to `app`, in the order of `scholars --help`.
from scholars.cli import learn, inspect, infer, algebra, report, run, sweep, serve
# isort: on

__all__ = ["algebra", "app", "infer", "inspect", "learn", "main", "report", "run", "serve", "sweep"]


_AS_FAR_AS_POSSIBLE = "scholars.as-far-as-possible"


def main() -> None:
    """Run the command of ``sys.argv``; an error becomes one message and an exit code."""
    sys.argv[1:] = hoist_quiet(repeat_options(sys.argv[1:]))
    warnings.showwarning = pass_on_warnings(warn)
    codecs.register_error(_AS_FAR_AS_POSSIBLE, _encode_otherwise)
    if isinstance(sys.stdin, io.TextIOWrapper):
        # The name of a file may not be valid text.
        sys.stdin.reconfigure(errors="surrogateescape")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Programs read these, on whatever machine: Windows redirects output in the code page of its language.
        read_by_programs = not {"--json", "--csv"}.isdisjoint(sys.argv)
        sys.stdout.reconfigure(encoding="utf-8" if read_by_programs else None, errors=_AS_FAR_AS_POSSIBLE)
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


def _encode_otherwise(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what is written for text that the output's encoding has no characters for.

    Bytes of a file's name that are not valid text as they were, and other characters as Python escapes them.
    """
    for name in ("surrogateescape", "backslashreplace"):
        try:
            return codecs.lookup_error(name)(error)
        except UnicodeError:
            continue
    raise error
