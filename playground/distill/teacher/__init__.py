"""The teacher's states: what the base model said at every token of a corpus, computed once."""
