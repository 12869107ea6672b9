"""What is lost when a head is taken away?

Each head's z is replaced, at all positions at once, by zero, by a mean or by another sentence's (`interp.patching.replacements`,
with the batch as its own reference; draws of another sentence are averaged), and the effect is read as the logit difference of a
token to its foil at one row of each prompt, or as the loss (mean over the target's rows of -log p(label)). Effects are ablated -
clean, per prompt: a head that helps has a negative effect on the logit difference and a positive one on the loss. They are NaN
where no other sentence of the batch has the prompt's task prefix.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.attribution.logit_readout import label_losses, logit_difference_of_outputs, runner_up
from interp.axes import ATTENTION_KINDS
from interp.hooks.names import HeadId
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.partial_forward import RecordedPass, record_pass
from interp.patching.replacements import Ablation, draw_donors, replacements
from interp.text.batch import Batch


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One number for every prompt, and a finished pass from which it can be read again with heads replaced.

    Attributes:
        clean: the pass.
        read: from the decoder's outputs, [copy batch row d_model], to the number, [copy batch].
        before: the number itself.
    """

    clean: RecordedPass
    read: Callable[[Float[Tensor, "copy batch row d_model"]], Float[Tensor, "copy batch"]]
    before: Float[Tensor, " batch"]

    @classmethod
    def of(cls, clean: RecordedPass, read: Callable[[Tensor], Tensor]) -> "Outcome":
        """The number of a pass."""
        with torch.no_grad():
            return cls(clean, read, read(clean.outputs.unsqueeze(0))[0])

    def change(
        self, head: HeadId, heads: Sequence[int], z: Float[Tensor, "copy batch pos d_head"]
    ) -> Float[Tensor, "copy batch"]:
        """What replacing one head's z in every copy does to the number; all are of the kind and layer of `head`."""
        return self.clean.with_heads(head.kind, head.layer, heads, z, self.read) - self.before


def loss(clean: RecordedPass) -> Outcome:
    """The mean over a prompt's rows of -log p(label); padded rows never meet the unembedding."""
    model, batch = clean.model, clean.batch
    rows = batch.target_mask.sum(-1)
    return Outcome.of(clean, lambda outputs: torch.stack([label_losses(model, batch, copy) / rows for copy in outputs]))


def label_difference(
    model: HookedEncoderDecoder, batch: Batch, rows: Int[Tensor, " batch"], names: Sequence[str] = ("*.hook_z",)
) -> Outcome:
    """The label at one row of every prompt against the model's best other token there."""
    clean = record_pass(model, batch, names, rows)
    tokens = batch.labels.gather(1, rows.unsqueeze(1))
    read = partial(logit_difference_of_outputs, model, tokens=tokens, foils=runner_up(model, clean.logits(), tokens))
    return Outcome.of(clean, lambda outputs: read(outputs).squeeze(-1))


def ablate_heads(
    full: RecordedPass,
    outcome: Outcome,
    ablation: Ablation,
    heads: Sequence[HeadId] | None = None,
    draws: int = 3,
    seed: int = 0,
) -> Float[np.ndarray, "head prompt"]:
    """What ablating heads one by one does to a number of every prompt.

    Args:
        full: the pass over all rows with z of every head, which replacements are taken from.
        outcome: the number.
        ablation: what stands in for z.
        heads: which heads; all of all kinds by default.
        draws: how many other sentences are tried, for `resample`.
        seed: of the first draw; the others follow.
    """
    chosen = all_heads(full.model) if heads is None else heads
    donors = (
        [draw_donors(full.batch, full.batch, seed + draw) for draw in range(draws)] if ablation == "resample" else []
    )
    effects: dict[HeadId, Tensor] = {}
    for kind, layer in dict.fromkeys((head.kind, head.layer) for head in chosen):
        group = [head for head in chosen if (head.kind, head.layer) == (kind, layer)]
        name = group[0].hook_name("z")
        versions = replacements(ablation, name, full.cache[name], full.batch, donors)
        numbers = [head.head for head in group]
        of_copy = [head for head in numbers for _ in versions]
        copies = versions[:, :, :, numbers].permute(3, 0, 1, 2, 4).flatten(0, 1)
        change = outcome.change(group[0], of_copy, copies).unflatten(0, (len(group), -1)).mean(1)
        effects |= dict(zip(group, change, strict=True))
    return np.asarray(torch.stack([effects[head] for head in chosen]).float().cpu().numpy())


def all_heads(model: HookedEncoderDecoder) -> list[HeadId]:
    """Every head of all three kinds, layer by layer."""
    return [
        HeadId(kind, layer, head)
        for kind in ATTENTION_KINDS
        for layer in range(model.cfg.layers_of(kind))
        for head in range(model.cfg.heads_of(kind))
    ]
