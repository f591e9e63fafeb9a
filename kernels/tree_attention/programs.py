"""Triton programs of tree attention: partial softmaxes over splits of the context, then one merge.

Rows are (node, head of a group) pairs of one key-value head, so that a group shares each load of keys and values.
Sums run in fp32 in the base-2 softmax. Two variants:
- `masked_partials` walks cache slots and masks tree nodes by their ancestors: the fast one;
- `ordered_partials` walks keys by position (the committed ones, then the node's own ancestors by depth) in fixed blocks
  and splits. Blocks below the committed ones are shared by all rows (own = 0); a second launch of the very same binary
  (own = 1) lets each node go on from there, alone. So a row is computed alike whatever stands around it, and plain
  decoding is the one-node case bit for bit. That is also why no argument that differs between the lanes is specialised.
What differs between trees or cache capacities is specialised in neither: each value would be one more binary.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _absorb(query, key, value, visible, top, total, out, scale, cap, CAPPED: tl.constexpr, WIDEN: tl.constexpr):
    """One block of keys into the running softmax of every row.

    query [ROWS, D], key [D, KEYS], value [KEYS, DV], visible [ROWS, KEYS]; top, total [ROWS], out [ROWS, DV] fp32.
    `scale` leads to base 2, or with CAPPED to the tanh's argument, whose result `cap` leads to base 2.
    """
    if WIDEN:  # Triton's interpreter multiplies bfloat16 as bit patterns
        query, key = query.to(tl.float32), key.to(tl.float32)
    score = tl.dot(query, key, input_precision="ieee") * scale
    if CAPPED:
        score = (1.0 - 2.0 / (tl.exp(2.0 * score) + 1.0)) * cap  # tanh
    score = tl.where(visible, score, float("-inf"))
    new_top = tl.maximum(top, tl.max(score, 1))
    base = tl.where(new_top == float("-inf"), 0.0, new_top)  # a row that has seen nothing yet
    weight = tl.exp2(score - base[:, None])
    fade = tl.exp2(top - base)
    total = total * fade + tl.sum(weight, 1)
    weight = weight.to(value.dtype)
    if WIDEN:
        weight, value = weight.to(tl.float32), value.to(tl.float32)
    out = tl.dot(weight, value, out * fade[:, None], input_precision="ieee")
    return new_top, total, out


@triton.jit(do_not_specialize=["nodes", "a_row"])
def masked_partials(
    query, keys, values, committed, depth, ancestors, part_top, part_sum, part_out,
    q_head, q_node, k_head, k_slot, v_head, v_slot, a_row, nodes, window, span, scale, cap,
    GROUP: tl.constexpr, D: tl.constexpr, DV: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_DV: tl.constexpr,
    ROWS: tl.constexpr, KEYS: tl.constexpr,
    WINDOWED: tl.constexpr, CAPPED: tl.constexpr, WIDEN: tl.constexpr,
):  # fmt: skip
    """Grid (row tiles, Hkv, splits of `span` slots); partials [splits, Hkv, nodes * GROUP(, DV)]."""
    tile, head, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    n = tl.load(committed).to(tl.int32)
    start, end = split * span, n + nodes
    if start >= end:
        return
    row = tile * ROWS + tl.arange(0, ROWS)
    real = row < nodes * GROUP
    node, member = row // GROUP, row % GROUP
    d, dv = tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_DV)
    q_at = (head * GROUP + member) * q_head + node * q_node
    q = tl.load(query + q_at[:, None] + d[None, :], mask=real[:, None] & (d < D)[None, :], other=0.0)
    position = n + tl.load(depth + node, mask=real, other=0).to(tl.int32)  # [ROWS]
    keys += head.to(tl.int64) * k_head
    values += head.to(tl.int64) * v_head

    top = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    out = tl.zeros([ROWS, BLOCK_DV], tl.float32)
    stop = tl.minimum(start + span, end)
    first = start
    if WINDOWED:  # nothing before this is seen by any node
        first = tl.maximum(start, tl.maximum(n - window + 1, 0) // KEYS * KEYS)
    whole = tl.maximum(tl.minimum(n // KEYS * KEYS, stop), first)  # blocks below hold committed keys only
    for at in range(first, whole, KEYS):
        slot = at + tl.arange(0, KEYS)
        k = tl.load(keys + slot[None, :] * k_slot + d[:, None], mask=(d < D)[:, None], other=0.0)
        v = tl.load(values + slot[:, None] * v_slot + dv[None, :], mask=(dv < DV)[None, :], other=0.0)
        visible = real[:, None] & (slot < stop)[None, :]
        if WINDOWED:
            visible &= position[:, None] - slot[None, :] < window
        top, total, out = _absorb(q, k, v, visible, top, total, out, scale, cap, CAPPED, WIDEN)
    for at in range(whole, stop, KEYS):
        slot = at + tl.arange(0, KEYS)
        filled = slot < stop
        k = tl.load(keys + slot[None, :] * k_slot + d[:, None], mask=filled[None, :] & (d < D)[:, None], other=0.0)
        v = tl.load(values + slot[:, None] * v_slot + dv[None, :], mask=filled[:, None] & (dv < DV)[None, :], other=0.0)
        fresh = filled & (slot >= n)
        seen = tl.load(
            ancestors + node[:, None] * a_row + (slot - n)[None, :], mask=real[:, None] & fresh[None, :], other=0
        )
        visible = real[:, None] & ((slot < n)[None, :] | (seen != 0))
        if WINDOWED:
            stands = tl.where(fresh, n + tl.load(depth + slot - n, mask=fresh, other=0).to(tl.int32), slot)
            visible &= position[:, None] - stands[None, :] < window
        top, total, out = _absorb(q, k, v, visible, top, total, out, scale, cap, CAPPED, WIDEN)
    at = (split * tl.num_programs(1) + head).to(tl.int64) * nodes * GROUP + row
    tl.store(part_top + at, top, mask=real)
    tl.store(part_sum + at, total, mask=real)
    tl.store(part_out + at[:, None] * DV + dv[None, :], out, mask=real[:, None] & (dv < DV)[None, :])


@triton.jit(do_not_specialize=["nodes", "first_node", "all_nodes", "own", "shared", "a_row", "q_head", "q_node"])
def ordered_partials(
    query, keys, values, committed, depth, ancestors, part_top, part_sum, part_out,
    q_head, q_node, k_head, k_slot, v_head, v_slot, a_row, nodes, first_node, all_nodes, own, shared,
    window, scale, cap,
    GROUP: tl.constexpr, D: tl.constexpr, DV: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_DV: tl.constexpr,
    ROWS: tl.constexpr, KEYS: tl.constexpr, SPLIT: tl.constexpr,
    WINDOWED: tl.constexpr, CAPPED: tl.constexpr, WIDEN: tl.constexpr,
):  # fmt: skip
    """Nodes first_node .. + nodes of all_nodes; partials [shared + own splits, Hkv, nodes * GROUP(, DV)].

    own = 0: grid (row tiles, Hkv, shared), blocks that hold committed keys only. own = 1: grid (nodes * tiles of a
    group, Hkv, own splits), each node's keys from the first other block on, in the splits from the boundary's on.
    """
    tile, head, z = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    n = tl.load(committed).to(tl.int32)
    lane = tl.arange(0, ROWS)
    chunks = (GROUP + ROWS - 1) // ROWS
    alone = tile // chunks  # the node of an own tile
    spread = tile * ROWS + lane
    node = tl.where(own != 0, alone, spread // GROUP)  # [ROWS], counted from first_node
    member = tl.where(own != 0, (tile % chunks) * ROWS + lane, spread % GROUP)
    real = (member < GROUP) & (node < nodes)
    position = n + tl.load(depth + first_node + node, mask=real, other=0).to(tl.int32)

    whole = n // KEYS * KEYS
    split = tl.where(own != 0, n // SPLIT + z, z)
    start = split * SPLIT
    last = n + tl.load(depth + first_node + alone, mask=(own != 0) & (alone < nodes), other=0).to(tl.int32)
    stop = tl.minimum(start + SPLIT, tl.where(own != 0, last + 1, whole))
    if start >= stop:
        return
    first = tl.where(own != 0, tl.maximum(start, whole), start)
    resume = (own != 0) & (whole > start)
    if WINDOWED:
        first = tl.maximum(first, tl.maximum(n - window + 1, 0) // KEYS * KEYS)

    d, dv = tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_DV)
    q_at = (head * GROUP + member) * q_head + (first_node + node) * q_node
    q = tl.load(query + q_at[:, None] + d[None, :], mask=real[:, None] & (d < D)[None, :], other=0.0)
    keys += head.to(tl.int64) * k_head
    values += head.to(tl.int64) * v_head
    row = node * GROUP + member
    held = (split * tl.num_programs(1) + head).to(tl.int64) * nodes * GROUP + row
    top = tl.load(part_top + held, mask=real & resume, other=float("-inf"))
    total = tl.load(part_sum + held, mask=real & resume, other=0.0)
    kept = (real & resume)[:, None] & (dv < DV)[None, :]
    out = tl.load(part_out + held[:, None] * DV + dv[None, :], mask=kept, other=0.0)
    for at in range(first, stop, KEYS):
        place = at + tl.arange(0, KEYS)  # position of each key
        filled = place < stop
        slot = tl.minimum(place, n)
        for c in range(0, tl.where(at + KEYS > n, all_nodes, 0), 64):
            other = c + tl.arange(0, 64)
            inside = other < all_nodes
            seen = tl.load(ancestors + (first_node + alone) * a_row + other, mask=inside, other=0)
            level = tl.load(depth + other, mask=inside & (seen != 0), other=-1).to(tl.int32)
            hit = level[None, :] == (place - n)[:, None]  # [KEYS, 64]; committed keys are below depth 0
            slot += tl.sum(tl.where(hit & (seen != 0)[None, :], other[None, :], 0), 1)
        k = tl.load(keys + slot[None, :] * k_slot + d[:, None], mask=filled[None, :] & (d < D)[:, None], other=0.0)
        v = tl.load(values + slot[:, None] * v_slot + dv[None, :], mask=filled[:, None] & (dv < DV)[None, :], other=0.0)
        visible = real[:, None] & filled[None, :]
        if WINDOWED:
            visible &= position[:, None] - place[None, :] < window
        top, total, out = _absorb(q, k, v, visible, top, total, out, scale, cap, CAPPED, WIDEN)
    part = tl.where(own != 0, shared + z, split)  # never where it was loaded from: other warps may still read there
    at = (part * tl.num_programs(1) + head).to(tl.int64) * nodes * GROUP + row
    tl.store(part_top + at, top, mask=real)
    tl.store(part_sum + at, total, mask=real)
    tl.store(part_out + at[:, None] * DV + dv[None, :], out, mask=real[:, None] & (dv < DV)[None, :])


@triton.jit(do_not_specialize=["nodes", "first_node", "all_nodes", "shared"])
def merge_partials(
    part_top, part_sum, part_out, sinks, committed, depth, result, nodes, first_node, all_nodes, shared, span,
    HEADS: tl.constexpr, GROUP: tl.constexpr, DV: tl.constexpr, BLOCK_DV: tl.constexpr,
    ORDERED: tl.constexpr, SINKS: tl.constexpr,
):  # fmt: skip
    """Grid (nodes, Hq): the row's partials, merged in the order of their splits, to result [all nodes, Hq, DV]."""
    node, head = tl.program_id(0), tl.program_id(1)
    n = tl.load(committed).to(tl.int32)
    row = node * GROUP + head % GROUP
    across = HEADS // GROUP
    if ORDERED:
        last = n + tl.load(depth + first_node + node).to(tl.int32)
        boundary, parts = n // span, last // span + 1
    else:
        boundary, parts = shared, (n + all_nodes + span - 1) // span
    top = tl.full([], float("-inf"), tl.float32)
    if SINKS:
        sink = tl.load(sinks + head).to(tl.float32) * 1.4426950408889634
        top = tl.maximum(top, sink)
    for part in range(0, parts):
        held = tl.where(part < boundary, part, shared + part - boundary)
        at = (held * across + head // GROUP).to(tl.int64) * nodes * GROUP + row
        top = tl.maximum(top, tl.load(part_top + at))
    total = tl.full([], 0.0, tl.float32)
    if SINKS:
        total += tl.exp2(sink - top)
    dv = tl.arange(0, BLOCK_DV)
    out = tl.zeros([BLOCK_DV], tl.float32)
    for part in range(0, parts):
        held = tl.where(part < boundary, part, shared + part - boundary)
        at = (held * across + head // GROUP).to(tl.int64) * nodes * GROUP + row
        weight = tl.exp2(tl.load(part_top + at) - top)
        total += weight * tl.load(part_sum + at)
        out += weight * tl.load(part_out + at * DV + dv, mask=dv < DV, other=0.0)
    where = ((first_node + node).to(tl.int64) * HEADS + head) * DV
    tl.store(result + where + dv, (out / total).to(result.dtype.element_ty), mask=dv < DV)
