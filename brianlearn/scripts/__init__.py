"""Network scripts: where they are, the experiment that one defines, and its own options."""
