"""``hud test``: which tests of a command block their runtime, and with what."""
