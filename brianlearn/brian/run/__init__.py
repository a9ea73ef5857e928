"""Runs: arrays in and out, Brian2's runtime mode, and the shards of several processes."""
