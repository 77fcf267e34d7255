"""Running a job: tiles through the kernel into the outputs."""
