"""Run the command line as a module: ``python -m scholars``."""

from scholars.cli.main import main

main()
