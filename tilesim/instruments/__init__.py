"""Detectors, incident beam and spindle from geometry files and from the library of detectors."""
