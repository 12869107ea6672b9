"""Does a head look for other copies of the current token, or for what stood next to them?

On random sequences repeated four times (`stimuli`), the mass that a row puts on three sets of keys, mean over rows:

    same     other copies of the token            duplicate-token heads (Wang et al. 2022)
    after    tokens that follow another copy      induction heads: prefix matching (Olsson et al. 2022)
    before   tokens that precede another copy     [ours]

In the encoder copies on both sides count; in the decoder rows with an earlier copy do. In cross-attention the source holds the
period once, rotated, and the copy is that of the decoder's input token. The null is the mass on the same places when every copy
is shuffled inside: what position alone gives. Half of the decoder's sequences read a source of end-of-sentence alone, half one
that holds the same tokens.

A head that only counts positions can score too where periods repeat, so `blind` is the mass of every head at its best single
offset on the same rows, and `blind_base` the largest `after` that any single offset could give on these sequences [ours].
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from analyses.core.contract import Arrays, Settings
from analyses.head_specialization.measure.stimuli import (
    LONGEST,
    RELATIONS,
    Stimuli,
    ordinary_tokens,
    relation_mask,
    repeated,
    sources_of,
)
from analyses.head_specialization.settings import HeadSettings
from interp.attention_metrics import masked_mean
from interp.axes import AttentionKind, Stack
from interp.families.config import ModelConfig
from interp.hooks.hook_point import HookPoint
from interp.hooks.names import attention_path
from interp.model.hooked_model import HookedEncoderDecoder

Masks = Mapping[str, Bool[Tensor, "sample query key"]]


class _Blind:
    """Collects the mass at every single offset of one stack's heads, on the rows that are scored."""

    def __init__(self, stack: Stack, mask: Bool[Tensor, "sample query key"]) -> None:
        self.stack, self.mask = stack, mask
        self._kept: list[Tensor] = []

    def hook(self) -> tuple[str, Callable[[Tensor, HookPoint], None]]:
        def keep(pattern: Tensor, hook: HookPoint) -> None:
            self._kept.append(offset_masses(pattern.float(), self.mask.any(-1).to(pattern.device)))

        return f"{self.stack}.*.attn.hook_pattern", keep

    def found(self) -> Iterator[tuple[str, np.ndarray]]:
        """Mass at the best offset of every head, chosen on all samples; and what the best offset of all could hit."""
        masses = torch.stack(self._kept, 1)
        best = masses.mean(0).argmax(-1)
        chosen = masses.gather(-1, best[None, ..., None].expand(len(masses), -1, -1, 1))[..., 0]
        hits = offset_masses(self.mask[:, None].float(), self.mask.any(-1))[:, 0]
        yield f"{self.stack}.blind", chosen.cpu().numpy()
        yield f"{self.stack}.blind_base", hits[:, int(hits.mean(0).argmax())].cpu().numpy()


def fits(cfg: ModelConfig) -> bool:
    """Whether the longest sequence has no more tokens than the model has positions."""
    return cfg.max_positions is None or cfg.max_positions >= LONGEST


def examine_repeats(model: HookedEncoderDecoder, settings: Settings) -> Arrays:
    """Scores of every head on random repeated sequences.

    Args:
        model: any model; no tokenizer is needed.
        settings: number of sequences and seed.

    Returns:
        `<kind>.<relation>` and `<kind>.<relation>_null` [sample layer head]; NaN in samples where a kind has nothing to score.
        For self-attention `<kind>.blind` [sample layer head] and `<kind>.blind_base` [sample]. Nothing if the sequences are
        longer than the model was made for, see `fits`.

    Raises:
        InputError: if the vocabulary is too small.
    """
    assert isinstance(settings, HeadSettings)
    if not fits(model.cfg):
        return {}
    generator = torch.Generator().manual_seed(settings.probe_seed)
    words = ordinary_tokens(model)
    eos = model.cfg.eos_token_id
    encoder = repeated(words, "encoder", settings.samples, eos, generator)
    decoder = repeated(words, "decoder", settings.samples, None, generator)
    sources = sources_of(decoder, eos, generator)
    found = dict(_examine_encoder(model, encoder))
    found |= _examine_decoder(model, decoder, sources)
    return found


def _examine_encoder(model: HookedEncoderDecoder, stimuli: Stimuli) -> Iterator[tuple[str, np.ndarray]]:
    masks = {name: relation_mask(stimuli.token, stimuli.token, name, own=True) for name in RELATIONS}
    for ending, ids in (("", stimuli.ids), ("_null", stimuli.shuffled)):
        encode = _Encode(model, ids.to(model.device), stimuli.mask.to(model.device))
        blind = None if ending else _Blind("encoder", masks["after"])
        for name, values in _scores(model, encode, {"encoder": masks}, blind).items():
            yield name + ending, values
        yield from blind.found() if blind else ()


def _examine_decoder(
    model: HookedEncoderDecoder, stimuli: Stimuli, sources: Stimuli
) -> Iterator[tuple[str, np.ndarray]]:
    # The start token stands before the repeats: one row and one key that are never scored.
    token = torch.nn.functional.pad(stimuli.token, (1, 0), value=-1)
    masks = {name: relation_mask(token, token, name, own=True).tril() for name in RELATIONS}
    cross = {name: relation_mask(token, sources.token, name, own=False) for name in RELATIONS}
    with torch.no_grad():
        memory = _Encode(model, sources.ids.to(model.device), sources.mask.to(model.device))()
    for ending, ids in (("", stimuli.ids), ("_null", stimuli.shuffled)):
        start = torch.full_like(ids[:, :1], model.cfg.decoder_start_token_id)
        decode = _Decode(model, torch.cat([start, ids], 1).to(model.device), memory, sources.mask.to(model.device))
        blind = None if ending else _Blind("decoder", masks["after"])
        for name, values in _scores(model, decode, {"decoder": masks, "cross": cross}, blind).items():
            yield name + ending, values
        yield from blind.found() if blind else ()


def offset_masses(
    pattern: Float[Tensor, "sample head query key"], rows: Bool[Tensor, "sample query"]
) -> Float[Tensor, "sample head offset"]:
    """Mean over rows of the mass at every offset from -(keys - 1) to keys - 1."""
    size = pattern.shape[-1]
    counted = pattern * rows[:, None, :, None]
    # Row q is moved by -q, so that equal offsets stand in one column.
    place = torch.arange(size, device=pattern.device)
    column = (place[None, :] - place[:, None] + size - 1).expand_as(counted)
    total = counted.new_zeros(*counted.shape[:2], size, 2 * size - 1).scatter_add_(-1, column, counted).sum(-2)
    return total / rows.sum(-1).clamp(min=1)[:, None, None]


class _Encode:
    """Runs the encoder stack alone."""

    def __init__(self, model: HookedEncoderDecoder, ids: Tensor, mask: Tensor) -> None:
        self.model, self.ids, self.mask = model, ids, mask

    def __call__(self) -> Tensor:
        memory: Tensor = self.model.hf.get_encoder()(input_ids=self.ids, attention_mask=self.mask).last_hidden_state
        return memory


class _Decode:
    """Runs the decoder stack alone, without the unembedding; padding stands at the right, where causality hides it."""

    def __init__(self, model: HookedEncoderDecoder, ids: Tensor, memory: Tensor, mask: Tensor) -> None:
        self.model, self.ids, self.memory, self.mask = model, ids, memory, mask

    def __call__(self) -> Tensor:
        states: Tensor = self.model.hf.get_decoder()(
            input_ids=self.ids,
            encoder_hidden_states=self.memory,
            encoder_attention_mask=self.mask,
            use_cache=False,
        ).last_hidden_state
        return states


def _scores(
    model: HookedEncoderDecoder,
    run: Callable[[], Tensor],
    masks: Mapping[AttentionKind, Masks],
    blind: _Blind | None,
) -> dict[str, np.ndarray]:
    """Run with hooks that score every pattern where it is made, so that none is kept."""
    layers: dict[str, list[Tensor]] = {}
    hooks = [] if blind is None else [blind.hook()]
    for kind, of_kind in masks.items():
        depth = model.cfg.n_encoder_layers if kind == "encoder" else model.cfg.n_decoder_layers
        for name, mask in of_kind.items():
            kept = layers.setdefault(f"{kind}.{name}", [])
            function = _scorer(mask.to(model.device), kept)
            hooks += [(f"{attention_path(kind, layer)}.hook_pattern", function) for layer in range(depth)]
    with torch.no_grad(), model.hooks(hooks):
        run()
    return {name: torch.stack(kept, 1).cpu().numpy() for name, kept in layers.items()}


def _scorer(mask: Bool[Tensor, "sample query key"], kept: list[Tensor]) -> Callable[[Tensor, HookPoint], None]:
    def score(pattern: Tensor, hook: HookPoint) -> None:
        kept.append(relation_mass(pattern.float(), mask))

    return score


def relation_mass(
    pattern: Float[Tensor, "sample head query key"], mask: Bool[Tensor, "sample query key"]
) -> Float[Tensor, "sample head"]:
    """Mean over the rows that have a scored key of the mass on their scored keys."""
    mass = (pattern * mask[:, None]).sum(-1)
    return masked_mean(mass, mask.any(-1)[:, None])
