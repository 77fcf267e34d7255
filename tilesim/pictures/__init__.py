"""Pictures of an image for the eye: PNG, and a page for a browser."""
