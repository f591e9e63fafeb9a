"""Device code compiles for a Hopper GPU, wide loads and all: what the interpreter cannot show. Needs no GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

CODE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from kernels.best import triton as best
from kernels.candidate_tree import triton as candidate_tree
from kernels.children import triton as children
from kernels.gated import triton as gated
from kernels.kv_commit import triton as kv_commit
from kernels.pick import triton as pick
from kernels.prefix_tree import triton as prefix_tree
from kernels.rms_norm import triton as rms_norm
from kernels.rotary_store import triton as rotary_store
from kernels.row_linear import triton as row_linear
from kernels.tree_attention import programs
from kernels.walk import triton as walk

def compiled(kernel, types, constants, aligned=(), **options):
    names = kernel.arg_names
    signature = {name: "constexpr" if name in constants else types.get(name, "i32") for name in names}
    wide = [name for name in names if signature[name].startswith("*") or name in aligned]
    attributes = {(names.index(name),): [["tt.divisibility", 16]] for name in wide}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)

half, single, long = "*bf16", "*fp32", "*i64"
parts = dict.fromkeys(("part_top", "part_sum", "part_out"), single)
states = dict.fromkeys(("query", "keys", "values", "result", "sinks"), half)
given = {**states, **parts, "committed": long, "depth": long, "ancestors": "*u8", "scale": "fp32", "cap": "fp32"}
sizes = {"GROUP": 4, "D": 128, "DV": 128, "BLOCK_D": 128, "BLOCK_DV": 128, "KEYS": 64}
flags = {"WINDOWED": True, "CAPPED": True, "WIDEN": False}
strides = ("k_head", "k_slot", "v_head", "v_slot")
done = compiled(programs.masked_partials, given, {**sizes, **flags, "ROWS": 64}, strides, num_stages=3)
assert "wgmma" in done.asm["ptx"], "64 rows do not use Hopper's matrix instructions"
assert done.metadata.shared < 200_000
compiled(programs.ordered_partials, given, {**sizes, **flags, "ROWS": 16, "SPLIT": 256}, strides, num_stages=3)
merge = {"HEADS": 32, "GROUP": 4, "DV": 128, "BLOCK_DV": 128, "ORDERED": True, "SINKS": True}
compiled(programs.merge_partials, given, merge, num_warps=1)

layer = dict.fromkeys(("x", "weight", "bias", "out"), half)
tiles = {"N": 4096, "K": 4096, "BLOCK_M": 64, "BLOCK_N": 32, "BLOCK_K": 128, "BIASED": True, "WIDEN": False, "w_in": 1}
done = compiled(row_linear.linear_tile, layer, tiles, ("w_out",), num_stages=4)
assert done.metadata.shared >= 4 * 2 * 128 * (64 + 32), "loads of the linear layer are not pipelined"

tensors = dict.fromkeys(prefix_tree.number_nodes.arg_names[:8], long)
compiled(prefix_tree.number_nodes, tensors, {"LENGTH": 16, "W": 64, "M": 2048})
rows = {"ancestors": "*u8", "depth": long, "beam_of": long, "node_of": long}
compiled(prefix_tree.mark_ancestors, rows, {"LENGTH": 16, "M": 2048}, num_warps=1)
named = dict.fromkeys(("token", "parent", "depth", "order", "count", "root", "entries", "node_of"), long)
named |= dict.fromkeys(("token_out", "parent_out", "depth_out"), long) | {"ancestors": "*u8"}
compiled(candidate_tree.place_nodes, named, {"M": 256, "BLOCK": 32})
compiled(candidate_tree.mark_ancestors, named, {"LEVELS": 16, "M": 256}, num_warps=1)
compiled(candidate_tree.find_entries, named, {"M": 256, "BLOCK": 32})
placed = {"scores": single, "place": long, "invalid": "fp32"}
compiled(best.place_scores, placed, {"BLOCK": 32, "CHUNK": 256})
compiled(walk.walk_down, dict.fromkeys(walk.walk_down.arg_names[:8], long), {"LEVELS": 16, "M": 2048, "E": 2})

found = {"best": long, "token_out": long, "position": long, "picked": long}
found |= dict.fromkeys(("top", "total", "scores", "score_out", "logp_out", "threshold"), single)
found |= {"logits": half, "invalid": "fp32", "temperature": "fp32", "seed": long}
compiled(children.top_of_chunks, found, {"WANTED": 64, "CHUNK": 1024})
merged = {"WANTED": 50, "REACH": 8, "KEEP": 8, "CUT": True, "CANDIDATES": 1024, "CHUNKS": 16}
compiled(children.top_of_beams, found, merged)
compiled(pick.pick_in_chunks, found, {"GREEDY": False, "FILTERED": True, "CHUNK": 4096})
compiled(pick.pick_of_chunks, found, {"CHUNKS": 32}, num_warps=1)

buffers = {"keys": half, "values": half, "committed": long, "path": long, "count": long}
compiled(kv_commit.move_rows, buffers, {"D": 128, "DV": 128, "BLOCK_D": 128, "ROWS": 32, "COUNTED": True})
compiled(rms_norm.rms_norm_row, layer | {"eps": "fp32"}, {"H": 4096, "BLOCK": 4096, "GEMMA": True})
compiled(gated.gated_block, {"gate": half, "up": half, "out": half}, {"BLOCK": 1024, "SILU": False})
turned = dict.fromkeys(("query", "key", "value", "cos", "sin", "keys", "values", "out"), half) | {"committed": long}
heads = {"HEADS": 32, "D": 128, "DV": 128, "HALF": 64, "BLOCK_V": 128}
compiled(rotary_store.rotary_store_head, turned, heads, num_warps=1)
print("compiled")
"""


def test_every_kernel_compiles_for_hopper(tmp_path: Path) -> None:
    """In a process of its own: in this one Triton may be interpreting."""
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False, env=environment,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout.strip() == "compiled", done.stderr[-3000:]
