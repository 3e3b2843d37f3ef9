"""Documents in: load, clean, chunk, and the pipeline that keeps the index equal to the sources."""
