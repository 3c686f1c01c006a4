"""Why memory ran out: the causes that an out-of-memory report shows."""
