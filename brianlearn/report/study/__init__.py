"""Reports of parameter studies."""
