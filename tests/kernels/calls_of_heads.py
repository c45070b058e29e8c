"""Call what a kernel library does with heads: their projections, and attention."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgebert import architecture
from edgebert.architecture import Attention
from edgebert.engine.distances import distances_record
from edgebert.engine.library import KernelLibrary
from edgebert.engine.memory import keeper
from edgebert.engine.model_plan import reach, rows_of_bias
from edgebert.kernels import reference
from edgebert.kernels.plan import CODE_ATTEND, CODE_PROJECT_HEADS, LANES, NORM
from edgebert.positions import split_heads
from tests.kernels.calls import Linear, guarded, slack, take

__all__ = ["attend", "disentangled", "heads_of", "project_heads"]


def heads_of(heads: int, scale: float, **more: Any) -> Attention:
    """Describe an attention; its heads' size follows from the rows."""
    nothing = architecture.Linear("", 0, 0)
    return Attention(heads, 0, nothing, nothing, scale=scale, **more)


def disentangled(heads: int, head_dim: int, buckets: int, largest: int) -> tuple[Attention, dict[str, np.ndarray]]:
    """Describe an attention whose queries and keys score distances, and draw what stands for these."""
    positions = architecture.Disentangled(
        architecture.Table("t", 2 * buckets, 0), None, buckets // 2 if largest else buckets, largest, "queries", "keys"
    )
    rng, tensors = np.random.default_rng(7), {}
    for name, levels in (("queries", 63), ("keys", 127)):
        tensors[f"{name}.weight"] = rng.integers(-levels, levels + 1, (2 * buckets, heads * head_dim)).astype(np.int8)
        tensors[f"{name}.scale"] = rng.uniform(0.2, 2.0, (heads, 2 * buckets)).astype(np.float32) / np.float32(levels)
    return heads_of(heads, 1 / math.sqrt(3 * head_dim), disentangled=positions), tensors


def project_heads(
    library: KernelLibrary,
    *operands: np.ndarray,
    heads: int,
    key_heads: int = 0,
    group: int | None = None,
    int16_steps: int = 1,
    threads: int = 1,
    norms: Sequence[tuple[np.ndarray, float]] = (),
    positions: np.ndarray | None = None,
    angles: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute query, key and value: uint8 (M, N), float32 (slots, M), float32 (key heads, M).

    Queries and keys are normalised by their `norms`, weight float32 (head_dim,) and eps, and turned by the `angles` of
    their `positions`, int32 (M,), where these are given.
    """
    linear = Linear(library, *operands, group, int16_steps)
    key_heads = key_heads or heads
    slots = heads + 2 * key_heads
    head_dim = linear.N // slots
    records = np.zeros(len(norms), NORM)
    for record, (weight, eps) in zip(records, norms, strict=True):
        record["size"], record["eps"], record["weight"] = head_dim, eps, weight.ctypes.data
    with (
        guarded((linear.M, linear.N), np.uint8) as q,
        guarded((slots, linear.M), np.float32, np.nan) as scale,
        guarded((key_heads, linear.M), np.float32, np.nan) as offset,
        guarded((library.scratch_bytes(head_dim, 16),), np.uint8) as scratch,
    ):
        arrays = {"heads": q, "head_scale": scale, "key_offset": offset, "scratch": scratch}
        places = {name: array.ctypes.data for name, array in arrays.items()}
        if positions is not None and angles is not None:
            places |= {"position_ids": positions.ctypes.data, "angles": angles.ctypes.data}
        for i, field in enumerate(("query_norm", "key_norm")[: len(norms)]):
            places[field] = records[i : i + 1].ctypes.data
        sizes = {"num_attention_heads": heads, "num_key_value_heads": key_heads, "head_dim": head_dim}
        sizes["rows"] = linear.M
        take(library, CODE_PROJECT_HEADS, threads=threads, **linear.fields, **places, **sizes)
    return q, scale, offset


def attend(
    library: KernelLibrary,
    query_key_value: np.ndarray,
    cu_seqlens: np.ndarray,
    attention: Attention,
    threads: int = 1,
    bias: np.ndarray | None = None,
    tensors: Mapping[str, np.ndarray] | None = None,
    key_counts: np.ndarray | None = None,
) -> np.ndarray:
    """Quantize and attend, cut as for so many threads: float32 (T, slots * head_dim) -> (T, heads * head_dim).

    `bias` float32 (heads, 2 * P - 1) and `key_counts` are as `reference.attend` takes them; `tensors` are those of
    disentangled positions.
    """
    T, columns = query_key_value.shape
    kept: list[object] = []
    keep = keeper(kept)
    heads, key_heads, _ = attention.slots
    head_dim = columns // (heads + 2 * key_heads)
    split = np.stack(split_heads(query_key_value, attention), axis=1)
    q, scales = reference.quantize_heads(split.reshape(T, 3 * heads * head_dim), heads)
    # Of the heads that share a key and a value, as `quantize_heads` has them, the first one's.
    first = np.arange(key_heads) * (heads // key_heads)
    offset = -64 * q[1].sum(axis=2, dtype=np.float32)[first] * scales[1][first]
    q[0] += 64
    joined = np.concatenate([q[0], q[1][first], q[2][first]])
    # Keys are read in blocks of 16 rows: beyond the last token lies what must not show.
    rows = slack(np.ascontiguousarray(joined.view(np.uint8).transpose(1, 0, 2)).reshape(T, columns))
    beyond = [(0, 0), (0, 16)]
    scales, offset = (
        np.ascontiguousarray(np.pad(array, beyond, constant_values=np.nan))
        for array in (np.concatenate([scales[0], scales[1][first], scales[2][first]]), offset)
    )
    longest = int(np.diff(cu_seqlens).max(initial=1))
    most = longest if bias is None else bias.shape[1] // 2 + 1
    before, behind = reach(attention, most)
    distances = {"before": before, "behind": behind, "longest": longest}
    if bias is not None or attention.window or attention.causal:
        binary = None if bias is None else bias * np.float32(math.log2(math.e))
        padded_bias, centre = rows_of_bias(binary, attention, most)
        padded_bias[:, -LANES:] = np.nan
        row = 0 if bias is None else padded_bias.shape[1]
        distances |= {"bias": padded_bias.ctypes.data, "bias_row": row, "bias_centre": centre}
    if attention.disentangled and tensors:
        sized = attention._replace(head_dim=head_dim)
        record = distances_record(attention.disentangled, sized, tensors, longest, keep)
        distances["distances"] = keep(record)
    size = library.scratch_bytes(head_dim, longest)
    with guarded((T, heads * head_dim), np.float32, np.nan) as out, guarded((size,), np.uint8, 0xFF) as scratch:
        arrays = {"heads": rows, "head_scale": scales, "key_offset": offset, "cu_seqlens": cu_seqlens}
        arrays |= {} if key_counts is None else {"key_counts": key_counts}
        places = {name: array.ctypes.data for name, array in {**arrays, "narrow": out, "scratch": scratch}.items()}
        sizes = {"rows": T + 16, "sequences": len(cu_seqlens) - 1, "head_dim": head_dim}
        sizes |= {"num_attention_heads": heads, "num_key_value_heads": key_heads}
        more = {"softmax_scale": attention.score_scale * math.log2(math.e), "context_stride": heads * head_dim}
        take(library, CODE_ATTEND, threads=threads, **places, **sizes, **more, **distances)
    return out
