"""Training a drafter: corpus from the base model's own text, teacher states, loss, loop, evaluation."""
