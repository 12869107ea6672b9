"""What does every head look at, in numbers per prompt? `analyses.head_specialization.arrays` declares them."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from analyses.core.contract import Arrays, Pass
from analyses.core.keys import prompt_keys, sentence_keys
from analyses.head_specialization.measure import position, values
from analyses.head_specialization.measure.alignment import observe_alignment
from analyses.head_specialization.measure.offsets import eligible_rows, offset_statistics
from analyses.head_specialization.measure.rarity import rare_share, rarest_keys, rarity_correlations, rarity_ranks
from analyses.head_specialization.measure.similarity import head_distances
from analyses.head_specialization.settings import HeadSettings
from interp.attention_metrics import (
    Restricted,
    attention_distance,
    entropy,
    legal_keys,
    masked_mean,
    restrict,
    strongest_key,
)
from interp.axes import ATTENTION_KINDS, AttentionKind, Pattern
from interp.families.config import ModelConfig
from interp.hooks.attention import of_every_head
from interp.hooks.names import attention_path
from interp.model.weights import output_weights
from interp.monotonicity import monotonicity
from interp.text.batch import Batch
from interp.text.words import EOS, PREFIX, PUNCTUATION, SENTINEL

SOURCE_CATEGORIES = {"eos": EOS, "prefix": PREFIX, "punctuation": PUNCTUATION, "sentinel": SENTINEL}
"""Categories of source tokens whose mass is measured."""

_SMOOTHING = 1e-4
_WEIGHTS = 2**19
"""Attention weights that are measured at once, so that what is made of them stays in the processor's cache."""
_FEWEST = 4
"""Rows and ordinary keys below which reading has no order."""

HOOKS = (
    "encoder.*.attn.hook_pattern",
    "decoder.*.attn.hook_pattern",
    "decoder.*.cross_attn.hook_pattern",
    *values.HOOKS,
)
"""What `observe` and `illustrate` read in every family; `hooks_on` has all of it."""


def hooks_on(cfg: ModelConfig) -> tuple[str, ...]:
    """What `observe` and `illustrate` read of a model of these facts."""
    return (*HOOKS, *position.hooks_on(cfg))


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The rows and keys that count, of one kind of attention in one batch.

    Attributes:
        kind: which attention.
        legal: legal keys of the rows that count; all False in other rows.
        ordinary: legal keys that are not special.
        members: category name -> keys that belong to it.
        rare: `rarest` and `two_rarest` -> those keys; empty where frequencies are not known.
        rank: rank of every ordinary key by frequency, -1 elsewhere; None where frequencies are not known.
    """

    kind: AttentionKind
    legal: Bool[Tensor, "batch query key"]
    ordinary: Bool[Tensor, "batch query key"]
    members: dict[str, Bool[Tensor, "batch key"]]
    rare: dict[str, Bool[Tensor, "batch key"]] = field(default_factory=dict)
    rank: Int[Tensor, "batch key"] | None = None

    @property
    def rows(self) -> Bool[Tensor, "batch query"]:
        """Rows that count."""
        return self.legal.any(-1)

    @property
    def deciding(self) -> Bool[Tensor, "batch query key"]:
        """Legal keys at which a positional head is no sink: neither special nor the first."""
        return self.ordinary & ~self.members["first"][:, None]

    def rows_apart(self, keys: Bool[Tensor, "batch key"]) -> Bool[Tensor, "batch query"]:
        """Rows at which a sink on some keys is no near positional head: none of the keys is within one step."""
        if self.kind == "cross":
            return self.rows
        near = torch.nn.functional.max_pool1d(keys.float()[:, None], 3, 1, 1)[:, 0] > 0
        return self.rows & ~near


def frame_of(kind: AttentionKind, batch: Batch) -> Frame:
    """Legal keys and key categories of one kind of attention."""
    queries = batch.source_mask if kind == "encoder" else batch.chosen_mask
    keys = batch.target_mask if kind == "decoder" else batch.source_mask
    legal = legal_keys(queries, keys, causal=kind == "decoder")
    legal &= (legal.sum(-1) >= 2)[..., None]
    first = torch.zeros_like(keys)
    first[:, 0] = True
    members = {"first": first}
    if kind != "decoder":
        members |= {name: batch.source_categories == index for name, index in SOURCE_CATEGORIES.items()}
    special = first if kind == "decoder" else members["eos"] | members["prefix"]
    return Frame(kind, legal, legal & ~special[:, None], members)


def _with_rare(frame: Frame, run: Pass) -> Frame:
    if frame.kind == "decoder":
        return frame
    special = frame.members["eos"] | frame.members["prefix"]
    rank = rarity_ranks(run.model, run.batch, run.batch.source_mask & ~special)
    if rank is None:
        return frame
    return replace(frame, rare=dict(zip(("rarest", "two_rarest"), rarest_keys(rank), strict=True)), rank=rank)


def observe(run: Pass) -> Arrays:
    """The numbers of every head of all three kinds, per prompt."""
    assert isinstance(run.settings, HeadSettings)
    arrays: dict[str, np.ndarray] = {"sentence": sentence_keys(run.batch)}
    for kind in ATTENTION_KINDS:
        frame = _with_rare(frame_of(kind, run.batch), run)
        depth = run.model.cfg.layers_of(kind)
        together = _layers_together(run, kind)
        parts = [
            _layers(run, frame, range(start, min(start + together, depth)), run.settings.max_offset)
            for start in range(0, depth, together)
        ]
        found = {name: torch.cat([part[name] for part in parts], 1) for name in parts[0]}
        found |= _baselines(frame, run.settings.max_offset)
        arrays |= {f"{kind}.{name}": value.float().cpu().numpy() for name, value in found.items()}
        arrays[f"{kind}.text"] = prompt_keys(run.batch, kind)
    return arrays | observe_alignment(run) | observe_similarity(run)


def observe_similarity(run: Pass) -> dict[str, np.ndarray]:
    """`<kind>.similarity` [prompt first second], if the settings ask for it."""
    assert isinstance(run.settings, HeadSettings)
    if run.settings.similarity != "all":
        return {}
    found = {}
    for kind in ATTENTION_KINDS:
        depth = run.model.cfg.layers_of(kind)
        layers = [run.cache[f"{attention_path(kind, layer)}.hook_pattern"] for layer in range(depth)]
        found[f"{kind}.similarity"] = head_distances(torch.stack(layers), frame_of(kind, run.batch).legal)
    return found


def _layers_together(run: Pass, kind: AttentionKind) -> int:
    """How many layers are measured at once: a layer of a small model is done before Python has asked for the next number."""
    return max(1, _WEIGHTS // run.cache[f"{attention_path(kind, 0)}.hook_pattern"].numel())


def _layers(run: Pass, frame: Frame, layers: range, window: int) -> dict[str, Tensor]:
    """Metrics of some layers, [batch layer head] or [batch layer head offset]; within, all their heads stand side by side."""
    paths = [attention_path(frame.kind, layer) for layer in layers]
    pattern = torch.cat([run.cache[f"{path}.hook_pattern"] for path in paths], 1).float()
    legal, ordinary, rows = frame.legal[:, None], frame.ordinary[:, None], frame.rows[:, None]
    inside = restrict(pattern, ordinary)
    found = {
        "entropy": masked_mean(entropy(pattern, legal), rows),
        "entropy_smoothed": masked_mean(entropy(_smoothed(pattern, legal), legal), rows),
        "confidence": masked_mean(strongest_key(pattern, ordinary).weight, rows),
        "retained": masked_mean(inside.retained, rows),
        "entropy_ordinary": masked_mean(entropy(inside.pattern, ordinary), rows),
    }
    received = (pattern * rows[..., None]).sum(-2) / rows.sum(-1, keepdim=True).clamp(min=1)
    found["vertical"] = received.amax(-1)
    found |= {f"{name}_mass": _mass(pattern, keys, rows) for name, keys in frame.members.items()}
    found |= {
        f"{name}_apart": _mass(pattern, keys, frame.rows_apart(keys)[:, None]) for name, keys in frame.members.items()
    }
    if frame.kind == "cross":
        found |= _reading_order(inside, frame)
    if frame.kind != "cross":
        distances = attention_distance(pattern, legal)
        found["distance"] = masked_mean(distances.absolute, rows)
        found["signed_distance"] = masked_mean(distances.signed, rows)
        found["distance_ordinary"] = masked_mean(attention_distance(inside.pattern, ordinary).absolute, rows)
        found |= offset_statistics(pattern, frame.legal, window)._asdict()
        telling = offset_statistics(pattern, frame.legal, window, frame.deciding)
        found |= {f"deciding_{name}": getattr(telling, name) for name in ("share", "chance", "mass")}
        found["near_share"] = offset_statistics(pattern, frame.ordinary, 1).share
        if position.is_defined(run.model.cfg):
            parts = [position.position_and_content(run.cache, frame.kind, layer, frame.legal) for layer in layers]
            found |= {name: torch.cat([part[name] for part in parts], 1) for name in parts[0]}
    norms = torch.cat([_value_norms(run, frame.kind, layer) for layer in layers], 1)
    keys = frame.legal.any(-2)
    found |= {f"{name}_norm": values.relative_norm(norms, some, keys) for name, some in frame.members.items()}
    found |= {f"{name}_share": rare_share(pattern, frame.legal, some) for name, some in frame.rare.items()}
    if frame.rank is not None:
        found |= rarity_correlations(received, norms, frame.rank)
    return {name: numbers.unflatten(1, (len(layers), -1)) for name, numbers in found.items()}


def _value_norms(run: Pass, kind: AttentionKind, layer: int) -> Float[Tensor, "batch head key"]:
    W_O = output_weights(run.model, kind, layer)
    v = of_every_head(run.cache[f"{attention_path(kind, layer)}.hook_v"], len(W_O), 2)
    return values.value_norms(v, W_O).float()


def _reading_order(inside: Restricted, frame: Frame) -> dict[str, Tensor]:
    """In which order a head reads the source, Kendall's tau of its center of mass with the row; and how sharply it reads."""
    ordinary = frame.ordinary[:, None]
    places = frame.ordinary.to(inside.pattern.dtype).cumsum(-1)[:, None]
    centers = (inside.pattern * places).sum(-1)
    rows = frame.rows[:, None]
    keys = frame.ordinary.sum(-1).amax(-1)
    enough = (frame.rows.sum(-1) >= _FEWEST) & (keys >= _FEWEST)
    tau = torch.where(enough[:, None], monotonicity(centers, rows), torch.nan)
    sharpness = inside.retained * (1 - entropy(inside.pattern, ordinary).nan_to_num(1.0))
    return {"monotone": tau, "sharpness": masked_mean(sharpness, rows)}


def _smoothed(pattern: Pattern, legal: Bool[Tensor, "batch one query key"]) -> Pattern:
    """Clark et al.'s smoothing, on legal keys."""
    count = legal.sum(-1, keepdim=True).clamp(min=1)
    return torch.where(legal, (1 - _SMOOTHING) * pattern + _SMOOTHING / count, 0.0)


def _mass(
    pattern: Pattern, keys: Bool[Tensor, "batch key"], rows: Bool[Tensor, "batch one query"]
) -> Float[Tensor, "batch head"]:
    """Mean over rows of the weight on some keys."""
    weights = torch.einsum("bhqk,bk->bhq", pattern, keys.to(pattern.dtype))
    return masked_mean(weights, rows)


def _baselines(frame: Frame, window: int) -> dict[str, Tensor]:
    """What an even spread over legal keys gives, [batch]; and the share of rows that have a key at each offset."""
    even = frame.legal / frame.legal.sum(-1, keepdim=True).clamp(min=1)
    groups = frame.members | frame.rare
    found = {f"{name}_base": _mass(even[:, None], keys, frame.rows[:, None])[:, 0] for name, keys in groups.items()}
    found |= {
        f"{name}_apart_base": _mass(even[:, None], keys, frame.rows_apart(keys)[:, None])[:, 0]
        for name, keys in frame.members.items()
    }
    if frame.kind != "cross":
        found["distance_base"] = masked_mean(attention_distance(even, frame.legal).uniform, frame.rows)
        found["coverage"] = eligible_rows(frame.legal, window) / frame.rows.sum(-1, keepdim=True).clamp(min=1)
        found["offset_base"] = offset_statistics(even[:, None], frame.legal, window).mass[:, 0]
        found["deciding_base"] = offset_statistics(even[:, None], frame.legal, window, frame.deciding).mass[:, 0]
        deciding, reached = eligible_rows(frame.deciding, window), eligible_rows(frame.legal, window)
        # Rows at the edge, which cannot reach so far, count against an offset; rows that cannot tell do not count.
        counted = frame.rows.sum(-1, keepdim=True) - (reached - deciding)
        found["deciding_coverage"] = torch.where(deciding > 0, deciding / counted.clamp(min=1), torch.nan)
    return found


def illustrate(run: Pass) -> Arrays:
    """The patterns of the first prompt of the batch without padding: `pattern.<kind>` [layer head query key]."""
    batch = run.batch
    sizes = {"source": int(batch.source_mask[0].sum()), "target": int(batch.target_mask[0].sum())}
    arrays = {}
    for kind in ATTENTION_KINDS:
        queries = sizes["source" if kind == "encoder" else "target"]
        keys = sizes["target" if kind == "decoder" else "source"]
        depth = run.model.cfg.layers_of(kind)
        layers = [run.cache[f"{attention_path(kind, layer)}.hook_pattern"][0] for layer in range(depth)]
        arrays[f"pattern.{kind}"] = torch.stack(layers)[:, :, :queries, :keys].float().cpu().numpy()
    return arrays


def offsets(window: int) -> Int[np.ndarray, " offset"]:
    """The offsets on the offset axis."""
    return np.arange(-window, window + 1)
