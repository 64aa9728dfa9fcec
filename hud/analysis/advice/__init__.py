"""What can be done about a blocker: a table of remedies, and the code that finds the right one."""
