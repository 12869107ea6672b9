"""What happens to a read-out when one decoder head's z is replaced: the check beside every attribution.

    zero       z' = 0, which removes exactly what the head writes (with its share of the values' bias, where there is one; the
               output's bias, which no head writes, stays) but leaves the range of activations
    mean       z' = mean of z over reference prompts of the same task, at rows of the same class (start, ordinary, final)
    resample   z' = z at a row of the same class of another prompt of the same task, averaged over draws

With d = W_O (z' - z) the change of the head's write, x_t the final stream, and LD the read-out, in T5's family:

    total effect                   LD(everything after the head recomputed) - LD
    direct effect, norm frozen     r_t <d, direction>                    (zero: minus the attribution)
    direct effect, norm recomputed LD(x + d) - LD(x)
    self-repair                    total effect - direct effect, norm frozen        (> 0 for a head that helps: repaired)

Nothing is computed twice that need not be: the memory is computed once, all heads and kinds of replacement of one attention
layer share a decoder pass as copies of the batch, and the vocabulary is never scored, because a read-out needs one direction. In
families with more norms in the way (post-norm: one behind every sublayer), direct effects hold all of them or take all of them
anew, and leave every later write as it is.
Wang et al. 2022; McGrath et al. 2023; Rushing and Nanda 2024; Heimersheim and Nanda 2024.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.attribution.components import last_norm
from interp.attribution.direct_logit_attribution import sublayer_reads
from interp.attribution.logit_readout import Readout
from interp.attribution.source_attribution import DecoderKind, head_directions
from interp.attribution.write_norms import change_with_norms_anew, pushed_hooks
from interp.errors import InputError
from interp.hooks.hook_point import HookPoint
from interp.hooks.names import attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder, Hooks
from interp.model.weights import attention_weights
from interp.text.batch import Batch
from interp.text.words import PREFIX

Mode = Literal["zero", "mean", "resample"]

MODES: tuple[Mode, ...] = ("zero", "mean", "resample")

START, ORDINARY, FINAL = range(3)

TOKENS_AT_ONCE = 8192
"""Decoder tokens in one pass, copies counted: what bounds memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """A batch made ready for many interventions on the decoder.

    Attributes:
        model: the model.
        batch: the prompts.
        readout: the number that is watched.
        memory: the encoder's output, computed once.
    """

    model: HookedEncoderDecoder
    batch: Batch
    readout: Readout
    memory: Float[Tensor, "batch source d_model"]

    def values(
        self, site: str, replaced: Float[Tensor, "copy batch target head d_head"]
    ) -> Float[Tensor, "copy batch target"]:
        """The read-out with the activations of one z point replaced, once for every copy of the batch."""
        rows = self.batch.decoder_input_ids.numel()
        per_pass = max(TOKENS_AT_ONCE // rows, 1)
        parts = [self._values(site, part) for part in replaced.split(per_pass)]
        return torch.cat(parts)

    def _values(self, site: str, replaced: Tensor) -> Tensor:
        def replace(tensor: Tensor, hook: HookPoint) -> Tensor:
            return replaced.flatten(0, 1).to(tensor.dtype)

        normalized = decoded(self.model, self.batch, self.memory, [(site, replace)], len(replaced))
        return self.readout.of(normalized)


def decoded(
    model: HookedEncoderDecoder,
    batch: Batch,
    memory: Float[Tensor, "rows source d_model"],
    hooks: Hooks,
    copies: int,
) -> Float[Tensor, "copy batch target d_model"]:
    """What the decoder's last norm makes of the stream, before its gain, for copies of a batch that hooks tell apart.

    Args:
        model: the model.
        batch: the prompts.
        memory: the encoder's output for one copy of the batch, shared by all copies, or for every copy one after another.
        hooks: edits of the decoder; they see all copies on the batch axis, copy by copy.
        copies: how many.
    """
    seen: list[Tensor] = []

    def keep(tensor: Tensor, hook: HookPoint) -> None:
        seen.append(tensor)

    with model.hooks([*hooks, (f"{last_norm(model.cfg, 'decoder')}.hook_normalized", keep)]):
        model.hf.get_decoder()(
            input_ids=batch.decoder_input_ids.repeat(copies, 1),
            attention_mask=batch.decoder_attention_mask.repeat(copies, 1),
            encoder_hidden_states=memory.repeat(copies * len(batch) // len(memory), 1, 1),
            encoder_attention_mask=batch.attention_mask.repeat(copies, 1),
            use_cache=False,
        )
    normalized: Tensor = seen[0].unflatten(0, (copies, -1))
    return normalized


def bench(model: HookedEncoderDecoder, batch: Batch, readout: Readout) -> Bench:
    """Run the encoder once, for any number of interventions on the decoder."""
    memory = model.hf.get_encoder()(input_ids=batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
    return Bench(model, batch, readout, memory)


def effect_hooks(model: HookedEncoderDecoder) -> tuple[str, ...]:
    """The hook points that `replacements` and `direct_effects` read."""
    heads = ("decoder.*.attn.hook_z", "decoder.*.cross_attn.hook_z")
    if model.cfg.biases:
        return (*heads, *pushed_hooks(model))
    return (*heads, "decoder.ln_final.hook_scale", f"decoder.{model.cfg.n_decoder_layers - 1}.hook_resid_post")


def replacements(
    mode: Mode, z: Float[Tensor, "batch target head d_head"], batch: Batch, draws: int, seed: int
) -> Float[Tensor, "draw batch target head d_head"]:
    """What z is replaced by.

    Args:
        mode: see the module's docstring.
        z: of one attention layer.
        batch: its prompts; they are also the reference.
        draws: number of resampled versions; zero and mean have one.
        seed: of the draws.

    Raises:
        InputError: if a prompt has no other prompt to take z from.
    """
    if mode == "zero":
        return torch.zeros_like(z).unsqueeze(0)
    peers = _peers(batch)
    classes = position_classes(batch.target_mask)
    if mode == "mean":
        return _means(z, peers, classes).unsqueeze(0)
    if bool((peers.sum(1) < 2).any()):
        raise InputError("Resample ablation takes z from another prompt; give at least two prompts.")
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([_resampled(z, peers, classes, generator) for _ in range(draws)])


def position_classes(mask: Bool[Tensor, "batch pos"]) -> Int[Tensor, "batch pos"]:
    """START for the first position of every prompt, FINAL for its last real one, ORDINARY between, -1 for padding."""
    positions = torch.arange(mask.shape[1], device=mask.device)
    last = mask.sum(1, keepdim=True) - 1
    classes = torch.where(positions == last, FINAL, ORDINARY)
    return torch.where(positions == 0, START, classes).masked_fill(~mask, -1)


def _peers(batch: Batch) -> Tensor:
    """[batch batch]: whether two prompts share their task prefix; a prompt alone with its task has all others as peers."""
    prefixes = [
        tuple(token for token, category in zip(text.ids, text.category_of_token, strict=True) if category == PREFIX)
        for text in batch.source_texts
    ]
    same = torch.tensor([[one == other for other in prefixes] for one in prefixes])
    same[same.sum(1) < 2] = True
    return same


def _means(z: Tensor, peers: Tensor, classes: Tensor) -> Tensor:
    members = torch.nn.functional.one_hot(classes + 1, 4)[..., 1:].to(z.dtype)
    sums = torch.einsum("bthk,btc->bchk", z, members)
    shared = peers.to(z)
    total, count = torch.einsum("ab,bchk->achk", shared, sums), torch.einsum("ab,btc->ac", shared, members)
    means = total / count.clamp_min(1)[:, :, None, None]
    # Padded rows get the start row's mean; they are read by no one.
    return means[torch.arange(len(z), device=z.device)[:, None], classes.clamp_min(0)]


def _resampled(z: Tensor, peers: Tensor, classes: Tensor, generator: torch.Generator) -> Tensor:
    others = peers.float() * (1 - torch.eye(len(peers)))
    donors = torch.multinomial(others, 1, generator=generator)[:, 0].tolist()
    drawn = torch.zeros_like(z)
    for prompt, donor in enumerate(donors):
        for kind in (START, ORDINARY, FINAL):
            rows = (classes[prompt] == kind).nonzero()[:, 0]
            source = (classes[donor] == kind).nonzero()[:, 0]
            if not len(source):  # a donor of one or two rows has no row of some class; its last row stands in
                source = (classes[donor] >= 0).nonzero()[-1]
            picked = torch.randint(len(source), (len(rows),), generator=generator)
            drawn[prompt, rows] = z[donor, source[picked.to(source.device)]]
    return drawn


def total_effects(
    ready: Bench,
    kind: DecoderKind,
    layer: int,
    z: Float[Tensor, "batch target head d_head"],
    replaced: Float[Tensor, "draw batch target head d_head"],
) -> Float[Tensor, "draw head batch target"]:
    """The read-out with one head at a time replaced; subtract the clean read-out for the effect.

    Args:
        ready: the prepared batch.
        kind: self- or cross-attention.
        layer: decoder layer.
        z: the clean activation.
        replaced: what one head's part of it is replaced by.
    """
    draws, heads = len(replaced), z.shape[2]
    one_head = torch.eye(heads, dtype=torch.bool, device=z.device)[None, :, None, None, :, None]
    copies = torch.where(one_head, replaced.unsqueeze(1), z)
    values: Tensor = ready.values(f"{attention_path(kind, layer)}.hook_z", copies.flatten(0, 1))
    return values.reshape(draws, heads, *values.shape[1:])


@dataclass(frozen=True, slots=True, eq=False)
class DirectEffects:
    """What replacing a head does to the read-out if no later writer answers.

    Attributes:
        frozen: with the norms in its way held at their values (T5: the final norm alone).
        recomputed: with these norms taken anew.
    """

    frozen: Float[Tensor, "draw head batch target"]
    recomputed: Float[Tensor, "draw head batch target"]


def direct_effects(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    readout: Readout,
    kind: DecoderKind,
    layer: int,
    replaced: Float[Tensor, "draw batch target head d_head"],
) -> DirectEffects:
    """Direct effects of replacing one head at a time, without a forward pass; in T5's family no write is formed in d_model.

    Args:
        model: the model the cache came from.
        cache: with the activations of `effect_hooks`.
        readout: the number that is watched.
        kind: self- or cross-attention.
        layer: decoder layer.
        replaced: what z is replaced by.
    """
    if readout.rows is not None:
        return _through_norms(model, cache, readout, kind, layer, replaced)
    directions, cfg = readout.directions, model.cfg
    stream = cache[f"decoder.{cfg.n_decoder_layers - 1}.hook_resid_post"].to(directions.dtype)
    scale = cache["decoder.ln_final.hook_scale"].squeeze(-1)
    change = (replaced - cache[f"{attention_path(kind, layer)}.hook_z"]).to(directions.dtype)
    W_O = attention_weights(model, kind, layer).W_O.to(directions.dtype)

    def along(vectors: Tensor) -> Tensor:
        """<d, vector> for the change of every head's write."""
        return (change * head_directions(model, kind, layer, vectors)).sum(-1)

    length = (torch.einsum("nbthk,hkj->nbthj", change, W_O @ W_O.transpose(-1, -2)) * change).sum(-1)
    moved = along(directions)
    squared = scale.square()[..., None] + (length + 2 * along(stream)) / cfg.d_model
    clean = (stream * directions).sum(-1)
    recomputed = (clean[..., None] + moved) * squared.rsqrt() - (clean / scale)[..., None]
    frozen = moved / scale[..., None]
    return DirectEffects(frozen.movedim(-1, 1), recomputed.movedim(-1, 1))


def _through_norms(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    readout: Readout,
    kind: DecoderKind,
    layer: int,
    replaced: Float[Tensor, "draw batch target head d_head"],
) -> DirectEffects:
    """As `direct_effects` where norms have means, or there are several in the way; one head at a time, to save memory."""
    path = attention_path(kind, layer)
    change = (replaced - cache[f"{path}.hook_z"]).to(readout.directions.dtype)
    W_O = attention_weights(model, kind, layer).W_O.to(change.dtype)
    read = sublayer_reads(model, cache, readout)[path]
    frozen = (change * head_directions(model, kind, layer, read)).sum(-1)
    recomputed = [
        change_with_norms_anew(model, cache, readout, path, change[:, :, :, head] @ W_O[head])
        for head in range(change.shape[3])
    ]
    return DirectEffects(frozen.movedim(-1, 1), torch.stack(recomputed, 1))


def head_sites(model: HookedEncoderDecoder) -> Sequence[tuple[DecoderKind, int]]:
    """Every attention layer of the decoder, self-attention before cross-attention in each layer."""
    kinds: tuple[DecoderKind, ...] = ("decoder", "cross")
    return tuple((kind, layer) for layer in range(model.cfg.n_decoder_layers) for kind in kinds)
