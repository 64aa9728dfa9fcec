"""What machine code and panic locations show where symbols or debug info do not: never certain."""
