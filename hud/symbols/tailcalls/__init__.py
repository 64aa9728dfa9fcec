"""The frames that tail calls removed from a stack, from the code between two frames."""
