"""What is lost when a head is taken away?

Each head's z is replaced, at all positions at once, by one of

    zero       nothing: exactly the removal of what the head writes; where values have a bias, of that bias too
    mean       its mean over the batch for the same class of position: first, ordinary, last
    resample   its z in another prompt of the batch, at a position of the same class, averaged over several draws

and the effect is read as the logit difference of a token to its foil at one row of each prompt, or as the loss (mean over the
target's rows of -log p(label)). Effects are ablated - clean, per prompt: a head that helps has a negative effect on the logit
difference and a positive one on the loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from analyses.head_specialization.measure.replay import ReadOut, Replay
from interp.axes import ATTENTION_KINDS, AttentionKind, HeadVectors, Residual
from interp.errors import InputError
from interp.hooks.names import HeadId
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import unembedding, unembedding_bias
from interp.patching.head_ablation import FINAL, ORDINARY, START, position_classes
from interp.text.batch import IGNORED_LABEL, Batch

Ablation = Literal["zero", "mean", "resample"]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One row of every prompt, with the token that is right there and its foil.

    Attributes:
        rows: decoder row.
        tokens: the token whose logit counts for.
        foils: the token whose logit counts against.
    """

    rows: Int[Tensor, " batch"]
    tokens: Int[Tensor, " batch"]
    foils: Int[Tensor, " batch"]


def logit_difference_of(model: HookedEncoderDecoder, answer: Answer) -> ReadOut:
    """The logit of the answer less that of its foil; two rows of the unembedding for each prompt are read."""
    W_U = unembedding(model)
    directions = W_U[answer.tokens] - W_U[answer.foils]
    bias = unembedding_bias(model)
    constant = bias[answer.tokens] - bias[answer.foils]

    def read(states: Residual) -> Float[Tensor, " batch"]:
        rows = states[torch.arange(len(states), device=states.device), answer.rows]
        return (rows * directions).sum(-1) + constant

    return ReadOut(read, int(answer.rows.max()) + 1)


def loss_of(model: HookedEncoderDecoder, batch: Batch) -> ReadOut:
    """The mean over a prompt's rows of -log p(label); padded rows never meet the unembedding."""
    W_U, bias = unembedding(model), unembedding_bias(model)
    prompt = batch.target_mask.nonzero()[:, 0]
    labels = batch.labels[batch.target_mask]
    lengths = batch.target_mask.sum(-1)

    def read(states: Residual) -> Float[Tensor, " batch"]:
        logits = states[batch.target_mask] @ W_U.T + bias
        losses = torch.nn.functional.cross_entropy(logits.float(), labels, ignore_index=IGNORED_LABEL, reduction="none")
        return torch.zeros(len(batch), device=losses.device).index_add_(0, prompt, losses) / lengths

    return ReadOut(read)


def first_answer(replay: Replay) -> Answer:
    """The first label of every target against the best other token there, as the model sees it."""
    tokens = replay.batch.labels[:, 0]
    best = replay.logits[:, 0].topk(2, dim=-1).indices
    foils = torch.where(best[:, 0] == tokens, best[:, 1], best[:, 0])
    return Answer(torch.zeros_like(tokens), tokens, foils)


@dataclass(frozen=True, slots=True, eq=False)
class AblationEffects:
    """What every head's ablation does to one read-out.

    Attributes:
        heads: the heads.
        clean: the read-out without ablation.
        ablated: the read-out with each head ablated.
    """

    heads: tuple[HeadId, ...]
    clean: Float[np.ndarray, " prompt"]
    ablated: Float[np.ndarray, "head prompt"]

    @property
    def effect(self) -> Float[np.ndarray, "head prompt"]:
        """Ablated - clean."""
        return np.asarray(self.ablated - self.clean)


def ablate_heads(
    replay: Replay,
    read_out: ReadOut,
    ablation: Ablation,
    heads: Sequence[HeadId] | None = None,
    draws: int = 3,
    seed: int = 0,
) -> AblationEffects:
    """Ablate heads one by one.

    Args:
        replay: the finished first pass.
        read_out: `logit_difference_of` or `loss_of`.
        ablation: what stands in for z.
        heads: which heads; all of all kinds by default.
        draws: how many other prompts are tried, for `resample`.
        seed: of the draws.

    Raises:
        InputError: if `resample` has no other prompt.
    """
    chosen = tuple(all_heads(replay.model)) if heads is None else tuple(heads)
    classes = {kind: position_classes(_rows(kind, replay.batch)) for kind in ATTENTION_KINDS}
    stand_ins: dict[tuple[AttentionKind, int], list[HeadVectors]] = {}
    ablated = []
    for head in chosen:
        key = (head.kind, head.layer)
        if key not in stand_ins:
            # Only the layer at hand is kept: heads come layer by layer.
            stand_ins = {key: replacements(replay.z(*key), classes[head.kind], ablation, draws, seed)}
        values = [replay.with_head(head, z[:, :, head.head], read_out) for z in stand_ins[key]]
        ablated.append(torch.stack(values).mean(0))
    return AblationEffects(chosen, _numpy(replay.clean(read_out)), _numpy(torch.stack(ablated)))


def all_heads(model: HookedEncoderDecoder) -> list[HeadId]:
    """Every head of all three kinds, layer by layer."""
    return [
        HeadId(kind, layer, head)
        for kind in ATTENTION_KINDS
        for layer in range(model.cfg.layers_of(kind))
        for head in range(model.cfg.heads_of(kind))
    ]


def _rows(kind: AttentionKind, batch: Batch) -> Bool[Tensor, "batch pos"]:
    mask = batch.source_mask if kind == "encoder" else batch.target_mask
    return mask.bool()


def _numpy(values: Tensor) -> np.ndarray:
    return np.asarray(values.float().cpu().numpy())


def replacements(
    z: HeadVectors, classes: Int[Tensor, "batch pos"], ablation: Ablation, draws: int, seed: int
) -> list[HeadVectors]:
    """What stands in for the z of one layer: one tensor, or one for each draw of `resample`."""
    if ablation == "zero":
        return [torch.zeros_like(z)]
    if ablation == "mean":
        return [_class_means(z, classes)]
    generator = torch.Generator().manual_seed(seed)
    return [_resampled(z, classes, generator) for _ in range(draws)]


def _class_means(z: HeadVectors, classes: Int[Tensor, "batch pos"]) -> HeadVectors:
    means = torch.zeros_like(z)
    for number in (START, ORDINARY, FINAL):
        members = classes == number
        if members.any():
            means[members] = z[members].mean(0)
    return means


def _resampled(z: HeadVectors, classes: Int[Tensor, "batch pos"], generator: torch.Generator) -> HeadVectors:
    """Z of another prompt: its first, its last, and of its ordinary positions the one at the same share of the text."""
    size, width = classes.shape
    if size < 2:
        raise InputError("Resample ablation needs at least two prompts in the batch; got one.")
    donor = (torch.arange(size) + torch.randint(1, size, (1,), generator=generator)).remainder(size).to(z.device)
    last = (classes >= 0).sum(-1, keepdim=True) - 1
    share = torch.arange(width, device=z.device) / last.clamp(min=1)
    place = (share * last[donor]).round().long().clamp(min=0)
    inner = place.clamp(min=1).minimum((last[donor] - 1).clamp(min=0))
    place = torch.where(classes == ORDINARY, inner, place.minimum(last[donor]))
    return z[donor[:, None], place]
