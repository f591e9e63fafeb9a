"""Training a drafter on a corpus and its teacher's states: batches, loss, loop, and the yardstick beside it."""
