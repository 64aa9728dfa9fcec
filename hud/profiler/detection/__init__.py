"""How a target can be seen: which Tokio it has, which of its threads are workers."""
