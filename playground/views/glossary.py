"""The words of the product, each in a sentence or two: the same words the code, the trace and the screen use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """One entry."""

    word: str
    meaning: str


GLOSSARY: tuple[Term, ...] = (
    Term("Base model", "The language model whose text you want. Drafting changes only how fast that text comes."),
    Term("Drafter", "A small recurrent network that guesses the base model's next tokens from its last hidden state."),
    Term("Beam", "One guess of several tokens in a row. Beam search keeps the W most probable ones."),
    Term("Beam width (W)", "How many beams are drafted at once. Wider catches more, but costs more nodes to verify."),
    Term("Beam length (L)", "How many tokens each beam drafts. The root is not counted."),
    Term("Beam slots", "W × L: the drafted tokens before equal prefixes are merged."),
    Term("Prefix tree", "All beams merged: tokens that share their whole prefix become one node, verified once."),
    Term("Best-first tree", "Of all tokens the search scored, the likeliest by their whole path, sent to be verified."),
    Term(
        "Node budget (N)",
        "How many nodes are verified at most, root included: the likeliest of all tokens the search scored. "
        "Auto: as many as pay here, chosen step by step.",
    ),
    Term("Copy tail", "Nodes that repeat what followed an earlier match in the text, ranked by a measured chance."),
    Term("Node", "One token of the prefix tree. Node 0 is the root."),
    Term("Root", "The token the tree starts from: already certain, not yet in the cache."),
    Term("Pick", "The base model's own next token at a node: the most probable, or, when sampling, the seeded draw."),
    Term("Accepted", "A drafted token that equals the base model's pick at its parent."),
    Term("Rejected", "A drafted token whose parent was accepted, where the base model picked something else."),
    Term("Never reached", "A drafted token behind a rejected one: decoding never reached it."),
    Term("Next root", "The pick at the last accepted node. It costs nothing extra and starts the next step's tree."),
    Term("Step", "Draft, tree, verify, accept, commit: one round, one forward of the base model, 1 to L + 1 tokens."),
    Term("Draft", "The drafter runs L times and proposes W beams."),
    Term("Verify", "One forward of the base model over all nodes of the tree at once."),
    Term("Commit", "The accepted path's keys and values are kept in the cache; the rest is discarded."),
    Term("Tree-attention mask", "Who sees whom: every node attends to the cache, its ancestors and itself only."),
    Term("Tokens per step", "New tokens for each forward of the base model. Plain decoding makes exactly 1."),
    Term("Lane", "One of the two racers: recurrent drafting, or plain decoding of the same model."),
    Term("Lane clock", "The time a lane spent computing, without its waits for the other lane."),
    Term("Speed-up", "Tokens per second with drafting over tokens per second of plain decoding."),
    Term("Identical", "Both lanes, run independently, wrote the same tokens."),
    Term("Cost of a step", "A drafting step's time over a plain step's. Below the tokens per step, drafting pays."),
    Term(
        "Seeded noise",
        "Sampling: noise fixed by seed and position is added to the logits, so the lanes draw alike. "
        "The drafter adds the same noise to its own.",
    ),
    Term("Trace", "The record of a run, step by step. Everything on this page is drawn from it."),
)  # fmt: skip
