"""From samples to episodes: found, doubted, and told why each was."""
