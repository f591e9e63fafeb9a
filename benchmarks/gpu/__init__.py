"""What a CUDA machine says of the engine: kernels, parity, the default pair, large shapes, the peer, energy."""
