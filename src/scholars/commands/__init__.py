"""The commands, a module for each thing that people come for. Nothing is decided here: they parse, call and print.

Only light modules are imported at the top, so that ``scholars --help`` answers at once.
"""
