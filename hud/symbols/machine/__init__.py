"""Machine code: decoding, what it refers to and where it leads."""
