"""Formats of other programs, each read or written with the library that keeps it."""
