"""What hud knows of Tokio: versions, the layout of CONTEXT, and which threads are workers."""
