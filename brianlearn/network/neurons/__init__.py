"""Neurons: equations with units, threshold and reset, their statements in a step, surrogate derivatives, presets."""
