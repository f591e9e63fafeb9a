"""Training a drafter: corpus from the base model's own text, teacher store, loss, loop, evaluation."""
