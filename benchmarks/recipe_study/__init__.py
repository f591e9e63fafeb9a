"""Which recipe trains the best drafter: variants, and the parts of a loss that only the study tries."""
