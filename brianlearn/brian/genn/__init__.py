"""GeNN: objects that it can run, projects, their compilation."""
