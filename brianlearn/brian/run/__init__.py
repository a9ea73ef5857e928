"""Runs: arrays in and out, Brian2's runtime mode, and shares of the work among processes."""
