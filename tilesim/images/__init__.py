"""Images: datasets, the protocol of an image, and one module for each format of other programs."""
