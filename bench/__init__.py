"""The harness: turns a configuration into rows, and rows into tables."""

__version__ = "0.1.0"

# Numbers made under one protocol version may be compared. It is part of every run id: raise it, and only then, when a
# change of code changes a number that a configuration does not name.
PROTOCOL = 1
