"""ReDrafter Playground: recurrent drafting, instrumented at every step."""

__version__ = "0.1.0"
