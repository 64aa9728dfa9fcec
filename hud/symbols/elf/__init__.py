"""ELF files: headers, sections, symbols, relocations."""
