"""Decoding: recurrent drafting, the plain baseline, and the race between them.

Knows neither tokenizer nor screen; token ids in, trace records out.
"""
