"""What is done to finished images."""
