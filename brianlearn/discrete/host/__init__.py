"""The host's processors: threads, waiting, and memory."""
