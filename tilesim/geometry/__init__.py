"""What follows from beam, crystal and detector alone: resolution, predicted reflections, completeness, frames."""
