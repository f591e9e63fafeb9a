"""The lanes with fixed shapes: the same stages on static buffers, captured as CUDA graphs where there is CUDA.

`CapturedDecoder` and `CapturedPlain` have the surface of `RecurrentDecoder` and `PlainDecoder`. A `GraphStore` given to
them keeps buffers and graphs from run to run. On other devices the stages run as they are, so that tests show them
equal to the eager lanes without a GPU.
"""

from playground.decode.captured.graphs import GraphStore
from playground.decode.captured.plain import CapturedPlain
from playground.decode.captured.recurrent import CapturedDecoder

__all__ = ["CapturedDecoder", "CapturedPlain", "GraphStore"]
