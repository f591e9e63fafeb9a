"""The verbs `info`, `drafter-info` and `validate`: what is here, what a checkpoint is, whether a file is a trace."""

from __future__ import annotations

import argparse
from typing import Any

from playground.cli.options import add_json, add_pair, add_verb
from playground.cli.runs import open_session
from playground.cli.terminal import output
from playground.export import notice, read_trace, to_json

CUT_OFF = 1


def add_verbs(verbs: Any) -> None:
    info_parser = add_verb(verbs, "info", info, "show what is loaded, where it runs and what a step costs here")
    add_pair(info_parser)
    add_json(info_parser)
    drafter_parser = add_verb(verbs, "drafter-info", drafter_info, "describe a drafter checkpoint")
    drafter_parser.add_argument("drafter", metavar="DIR", help="folder with config.json and model.safetensors")
    add_json(drafter_parser)
    validate_parser = add_verb(verbs, "validate", validate, "check a trace file; a run that was cut off exits with 1")
    validate_parser.add_argument("trace", metavar="FILE", help="a trace (JSON Lines)")
    add_json(validate_parser)


def info(chosen: argparse.Namespace) -> int:
    with output(chosen.json) as out:
        session = open_session(chosen)
        found, costs = session.info, session.pair.costs
        body = {key: value for key, value in to_json(found).items() if key != "drafter_card"}
        steps = {dtype: {"plain_ms": cost.plain_ms, "tree_ms": cost.tree_ms} for dtype, cost in costs.items()}
        out.result({**body, "measured_ms": steps})
        base, drafter = found.base, found.drafter
        out.words(
            f"Base model: {base.name} ({base.family}), {base.parameters / 1e6:.0f}M parameters, {base.layers} layers, "
            f"hidden {base.hidden_size}, vocabulary {base.vocab_size:,}, window {base.window:,}"
        )
        out.words(
            f"Drafter: {drafter.name}, {drafter.parameters / 1e6:.1f}M parameters, drafts {drafter.draft_vocabulary:,} "
            "tokens of the vocabulary"
            if drafter
            else f"Drafter: none. Name one with --drafter, or train one: {found.training}"
        )
        out.words(f"Runs on {found.device} in {found.dtype}, {found.engine} engine, {found.kernels} kernels")
        for note in found.notes:
            out.words(note)
        for dtype, cost in costs.items():
            out.words(f"  {dtype}: plain step {cost.plain_ms:.1f} ms, tree step {cost.tree_ms:.1f} ms")
        out.words(", ".join(f"{name} {version}" for name, version in found.versions.items()))
    return 0


def drafter_info(chosen: argparse.Namespace) -> int:
    from playground.drafter.file import load_drafter
    from playground.sources.catalogue import resolve_drafter

    with output(chosen.json) as out:
        drafter = load_drafter(resolve_drafter(chosen.drafter).path)
        config = drafter.config
        out.result({**to_json(drafter.info()), "apple_compatible": config.apple_compatible, "config": to_json(config)})
        out.words(f"{drafter.name}: {drafter.info().parameters:,} parameters")
        out.words(f"For base models of hidden size {config.hidden_size} and vocabulary {config.vocab_size:,}")
        kind = "tied to the base model's output rows" if config.tied_head else "with a projection of its own"
        out.words(f"Head: {config.num_draft_layers} residual blocks of width {config.exit_dim}, {kind}")
        out.words(
            f"Drafts {config.head_vocab:,} tokens" + ("" if config.draft_vocab_size else ": the whole vocabulary")
        )
        out.words("Apple's format: " + ("yes" if config.apple_compatible else "extended (our own keys and tensors)"))
    return 0


def validate(chosen: argparse.Namespace) -> int:
    with output(chosen.json) as out:
        trace = read_trace(chosen.trace)
        told = notice(trace)
        body = {"valid": True, "complete": trace.complete, "steps": len(trace.steps), "notice": told}
        out.result({**body, "new_tokens": len(trace.redrafter_tokens), "schema_version": trace.header.schema_version})
        out.words(told or f"A whole trace: {len(trace.steps)} steps, {len(trace.redrafter_tokens)} new tokens.")
        return 0 if trace.complete else CUT_OFF
