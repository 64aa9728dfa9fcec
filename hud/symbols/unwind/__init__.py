"""Unwind tables: from .eh_frame, or derived from the code where there is none."""
