"""From raw samples to what people read: a Recording goes in, Snapshots come out."""
