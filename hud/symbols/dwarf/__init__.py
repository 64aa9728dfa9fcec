"""Reads DWARF 4 and 5 debug information: the logical calls and source lines of one address."""
