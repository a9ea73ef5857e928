"""Learning: gradients of rules merged over time, step by step, and by back-propagation; losses and optimisers."""
