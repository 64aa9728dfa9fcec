"""The demo's server, which blocks its workers, and the load on it."""
