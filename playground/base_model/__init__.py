"""A stock transformers causal language model, run over token trees on a cache of our own.

Knows nothing of beams, where trees come from, acceptance or the screen. Importing this package loads nothing heavy.
"""
