"""The only arithmetic on records: a run's summary, acceptance, loops, parity and running totals.

Reads `playground.trace`; knows no engine, no clock, no tokenizer and no screen.
"""
