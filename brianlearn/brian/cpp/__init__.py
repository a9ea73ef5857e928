"""Standalone C++: projects, their compilation, and programs kept by what they depend on."""
