"""The process without rights that reads other people's files, and the parent's end of it."""
