"""Synaptic maps: weighted sums of spikes and gradients of weights, by kind of connection."""
