"""Linux and BPF only: reads an object, loads it, attaches it and reads its maps; knows no Tokio."""
