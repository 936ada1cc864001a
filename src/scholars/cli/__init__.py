"""The command line. A module of commands parses arguments, calls the library and prints; it decides nothing.

Only light modules are imported at the top, so that ``scholars --help`` answers at once.
"""
