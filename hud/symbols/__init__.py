"""Bytes of ELF and DWARF to functions, lines, inlined calls, unwind rules and readable names."""
