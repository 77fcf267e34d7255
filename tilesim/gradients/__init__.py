"""Derivatives of images: parameters by name, the differentiable twin of the definition, the chain rule."""
