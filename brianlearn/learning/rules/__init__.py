"""Learning rules: three-factor rules as error paths, synaptic rules as Brian2 texts, back-propagation."""
