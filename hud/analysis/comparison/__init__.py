"""What changed between two runs: blockers matched across builds, and how sure each change is."""
