"""One file per view: a pure function of (snapshot, state, width, height) to lines."""
