"""Where models come from: the default pair, folders on this machine, the hub; and the tokenizer that comes with one.

Turns what a person typed into a checked local folder. Loads no weights into a model and knows nothing of decoding.
"""
