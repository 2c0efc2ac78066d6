"""Who carries operations out: this process, or a worker that outlives it."""
