"""Refinement: parameters of experiments are fitted to measured pixels."""
