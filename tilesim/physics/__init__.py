"""The mathematics of a pixel as pure functions of tensors; imports torch and nothing of tilesim."""
