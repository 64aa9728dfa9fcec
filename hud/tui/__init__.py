"""The live screen: state and pure views; only ``terminal`` knows the terminal library."""
