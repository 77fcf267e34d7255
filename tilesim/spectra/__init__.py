"""Where spectra are read and generated: text columns, NXmx, DIALS models; lines, pulses of noise."""
