"""The corpus: conversations the base model writes with itself, and how they are read back."""
