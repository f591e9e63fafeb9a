"""Replaying a step: the stages on static buffers, captured as CUDA graphs where there is CUDA.

`Programs` keeps buffers and graphs from run to run.
"""

from playground.decode.replay.programs import Programs
from playground.decode.replay.runner import ReplayedRunner

__all__ = ["Programs", "ReplayedRunner"]
