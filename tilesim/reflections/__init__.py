"""What scatters: structure factors from any kind of file or model, and scattering curves."""
