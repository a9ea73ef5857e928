"""Folders of C++ that run without Python."""
