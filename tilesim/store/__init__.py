"""The zarr store: its layout, its creation, and the writing of tiles into it."""
