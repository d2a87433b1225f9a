"""One run on disk: paths, records, events, metric rows, the lease and the state derived from them."""
