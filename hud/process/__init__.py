"""The process under study: find it, open its files, follow its threads and its end."""
