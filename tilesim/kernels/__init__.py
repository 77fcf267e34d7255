"""The ways to compute pixels, all of them `tilesim.compute.Kernel`: the definition in torch, and fused kernels."""
