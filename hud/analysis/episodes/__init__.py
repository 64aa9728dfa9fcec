"""From samples to episodes: how they are found, doubted and explained."""
