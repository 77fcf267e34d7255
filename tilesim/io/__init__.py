"""Readers and writers of the reference's files; one module per format."""
