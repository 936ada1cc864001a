"""Run the command line as a module: ``python -m scholars``."""

from scholars.cli import main

main()
