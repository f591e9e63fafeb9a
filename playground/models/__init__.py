"""Base model adapter, its cache and output head, the tokenizer, the drafter, and where models come from.

Knows nothing of beams, trees' origin, acceptance or the screen. Importing this package loads nothing heavy.
"""
