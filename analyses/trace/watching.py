"""What is read of a model at every moment besides the analyses: its loss, whether it is right, and its patterns.

    loss       mean negative log-likelihood of the target's tokens, in nats
    right      share of the target's tokens that the model puts first, given those before
    whole      1 if all are right: the model, decoding greedily, writes exactly this target
    encoder, decoder, cross      attention weights, padded to the longest text of the set

Targets are the same at every moment (teacher forcing), so that a change is one of the model.
"""

import numpy as np
import torch

from analyses.core.arrays import array_specs
from analyses.core.contract import Analysis, Arrays, Pass, Settings
from analyses.core.keys import sentence_keys
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.hooks.names import attention_path
from interp.report import Section

SIDES: dict[AttentionKind, tuple[str, str]] = {
    "encoder": ("source", "source"),
    "decoder": ("target", "target"),
    "cross": ("target", "source"),
}
"""Kind of attention -> whose tokens attend, and to whose."""


class WatchSettings(Settings):
    """How large patterns are.

    Attributes:
        source: tokens of the longest source.
        target: tokens of the longest target.
    """

    source: int = 1
    target: int = 1


def observe(run: Pass) -> Arrays:
    """Numbers and patterns per prompt, see the module; `rows` and `keys` say which places of a pattern are tokens."""
    batch, settings = run.batch, run.settings
    assert isinstance(settings, WatchSettings)
    mask = batch.chosen_mask
    labels = batch.labels.clamp(min=0)
    losses = -run.logits.float().log_softmax(-1).gather(-1, labels[..., None])[..., 0]
    right = (run.logits.argmax(-1) == labels) & mask
    count = mask.sum(1)
    arrays = {
        "loss": (losses * mask).sum(1) / count,
        "right": right.sum(1) / count,
        "whole": (right.sum(1) == count).float(),
        "tokens.source": batch.source_mask.sum(1),
        "tokens.target": batch.target_mask.sum(1),
    }
    found = {name: values.float().cpu().numpy() for name, values in arrays.items()}
    sizes = {"source": settings.source, "target": settings.target}
    for kind in ATTENTION_KINDS:
        layers = range(run.model.cfg.layers_of(kind))
        pattern = torch.stack([run.cache[f"{attention_path(kind, layer)}.hook_pattern"] for layer in layers], 1)
        whole = np.zeros((*pattern.shape[:3], *(sizes[side] for side in SIDES[kind])), dtype=np.float32)
        whole[..., : pattern.shape[-2], : pattern.shape[-1]] = pattern.float().cpu().numpy()
        found[f"pattern.{kind}"] = whole
    return found | {"sentence": sentence_keys(batch)}


def _not_shown(*_: object) -> Section:
    raise NotImplementedError("a trace has a page of its own")


WATCH = Analysis(
    name="watch",
    title="Loss and patterns",
    question="How well does the model predict the targets, and what do its heads look at?",
    hooks=tuple(f"{path}.hook_pattern" for path in ("encoder.*.attn", "decoder.*.attn", "decoder.*.cross_attn")),
    observe=observe,
    summarize=lambda evidence: None,
    present=_not_shown,
    arrays=(
        *array_specs("loss", "prompt", "nats", "tokens"),
        *array_specs("right whole", "prompt", "share", "tokens"),
        *array_specs("tokens.source tokens.target", "prompt", "tokens"),
        *array_specs("sentence", "prompt byte", content="key"),
        *(
            array_specs(f"pattern.{kind}", f"prompt {kind}_layer {kind}_head {kind}_row {kind}_key", "share")[0]
            for kind in ATTENTION_KINDS
        ),
    ),
    settings=WatchSettings,
)
"""Asked of every moment beside the chosen analyses; not in the registry, because it is no question of its own."""
