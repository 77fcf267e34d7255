"""What is to be made: frames of a series, batches, their files and stores, and where they come from."""
