"""One call for all methods: which source tokens make a model prefer a token to a foil?

    contributions          exact shares of the difference, through all cross-attention heads (`source_attribution`)
    attention              cross-attention weights, mean over heads and layers
    norms                  length of what each token's vectors add to the stream, of heads together, as shares; mean over layers
    alti                   ALTI+, followed through both stacks
    chefer                 attention times gradient, propagated by rules
    attnlrp                layer-wise relevance propagation; attention shares relevance between pattern and values
    attnlrp-held           the same with queries and keys held, which conserves
    saliency, input-x-gradient, integrated-gradients, occlusion     captum's

Signed methods say for and against; the others only how much. Some say how much of the difference is beside source tokens, and
those that claim to add up to it state how far they are from that.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.attribution.direct_logit_attribution import decompose, decomposition_hooks
from interp.attribution.logit_readout import logit_difference, size_of_parts
from interp.attribution.source_attribution import encoder_attribution
from interp.errors import InputError, did_you_mean
from interp.families.config import ModelConfig
from interp.hooks.names import attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import output_weights
from interp.model.wide_weights import in_float64
from interp.report.framed import Framed
from interp.sources.alti_plus import ALTI_HOOKS, alti, why_no_alti
from interp.sources.attention_rollout import why_not_in_steps
from interp.sources.captum_methods import captum_attributions
from interp.sources.chefer_rules import chefer
from interp.sources.question import Question
from interp.sources.relevance_propagation import propagate, why_no_attnlrp
from interp.sources.term_norms import layer_norms, shares, source_vectors
from interp.text.pieces import pieces_of


@dataclass(frozen=True, slots=True, eq=False)
class Attributions:
    """What a method gives.

    Attributes:
        source: for the source tokens; NaN where the method has nothing to say.
        target: for the decoder's own input tokens, the start first; None where the method does not look at them.
        beside: what belongs to no token -> how much.
        gap: how far all of it is from the explained difference, as a share of its parts' size (root of the summed squares);
            None for methods that do not claim to add up.
    """

    source: Float[Tensor, "row source"]
    target: Float[Tensor, "row prefix"] | None = None
    beside: Mapping[str, Float[Tensor, " row"]] = field(default_factory=dict)
    gap: Float[Tensor, " row"] | None = None

    def to(self, dtype: torch.dtype) -> "Attributions":
        """The same numbers in another type.

        Args:
            dtype: the type.
        """
        target, gap = (None if one is None else one.to(dtype) for one in (self.target, self.gap))
        beside = {name: one.to(dtype) for name, one in self.beside.items()}
        return Attributions(self.source.to(dtype), target, beside, gap)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SourceAttribution(Framed):
    """One method's answer to a question.

    Attributes:
        method: its name.
        found: its numbers, in logits where the method adds up to them.
        source_pieces: the source tokens.
        target_pieces: the decoder's input tokens.
        rows: decoder rows, from 0.
        labels: the explained token of every row.
        foils: what it was compared with.
        difference: the explained number of every row, in logits.
    """

    method: str
    found: Attributions
    source_pieces: tuple[str, ...]
    target_pieces: tuple[str, ...]
    rows: tuple[int, ...]
    labels: tuple[str, ...]
    foils: tuple[str, ...]
    difference: Float[Tensor, " row"]

    def to_frame(self) -> pd.DataFrame:
        """One row a decoder row and token: side `source`, `target` or, for what belongs to no token, `beside`."""
        found = []
        for index, (row, label) in enumerate(zip(self.rows, self.labels, strict=True)):
            sides = [("source", self.source_pieces, self.found.source)]
            if self.found.target is not None:
                sides.append(("target", self.target_pieces, self.found.target))
            for side, pieces, values in sides:
                for place, (piece, value) in enumerate(zip(pieces, values[index].tolist(), strict=True)):
                    found.append((row, label, side, place, piece, value))
            found += [(row, label, "beside", -1, name, float(one[index])) for name, one in self.found.beside.items()]
        return pd.DataFrame(found, columns=["row", "label", "side", "position", "token", self.method])


def methods_of(cfg: ModelConfig) -> tuple[str, ...]:
    """Names of the methods that are defined for a model.

    Args:
        cfg: the model's facts.
    """
    return tuple(name for name in METHODS if name not in _LACKING or _LACKING[name](cfg) is None)


def attribute_sources(
    model: HookedEncoderDecoder, question: Question, methods: Sequence[str] | None = None
) -> dict[str, SourceAttribution]:
    """Method -> its answer.

    Args:
        model: a model of any family.
        question: what is explained (`ask`).
        methods: names of methods; by default all that are defined for the model.

    Raises:
        InputError: if there is no such method, it is not defined for the model, or captum is wanted and not there.
    """
    chosen = methods_of(model.cfg) if methods is None else tuple(methods)
    for name in chosen:
        if name not in METHODS:
            raise InputError(
                f"No method is called {name!r}{did_you_mean(name, METHODS)}; there are {', '.join(METHODS)}."
            )
        if (why := _LACKING[name](model.cfg) if name in _LACKING else None) is not None:
            raise InputError(why)
    text = question.batch.source_texts[0]
    with torch.no_grad():
        difference = question.read(model(question.batch))[0]
    return {
        name: SourceAttribution(
            name,
            METHODS[name](model, question),
            text.pieces,
            question.batch.decoder_pieces(0),
            tuple(question.rows.tolist()),
            _spelled(model, question.tokens),
            _spelled(model, question.foils),
            difference,
        )
        for name in chosen
    }


def _spelled(model: HookedEncoderDecoder, tokens: Tensor) -> tuple[str, ...]:
    ids = tokens.tolist()
    return tuple(pieces_of(model.tokenizer, ids)) if model.tokenizer is not None else tuple(map(str, ids))


@torch.no_grad()
def _contributions(model: HookedEncoderDecoder, question: Question) -> Attributions:
    logits, cache = model.run_with_cache(question.batch, decomposition_hooks(model.cfg))
    # Rows that are not asked for are explained too, by tokens of no meaning, and left out.
    tokens, foils = (torch.zeros_like(question.batch.labels) for _ in range(2))
    tokens[0, question.rows], foils[0, question.rows] = question.tokens, question.foils
    found = decompose(model, cache, logit_difference(model, logits, tokens, foils))
    by_token = encoder_attribution(model, cache, found)[0, question.rows].sum(-1)
    values = found.values[0, question.rows]
    crossing = torch.tensor([one.kind == "cross-attention head" for one in found.components], device=values.device)
    beside = {"decoder, past cross-attention": values[:, ~crossing].sum(-1)}
    return _adding_up(question.read(logits)[0], by_token, None, beside)


def _adding_up(value: Tensor, source: Tensor, target: Tensor | None, beside: Mapping[str, Tensor]) -> Attributions:
    """What claims to add up to a value, with how far it is from that."""
    parts = torch.cat([source, *([] if target is None else [target]), *(one[:, None] for one in beside.values())], -1)
    gap = (parts.sum(-1) - value.detach()).abs() / size_of_parts(parts)
    return Attributions(source, target, beside, gap)


@torch.no_grad()
def _attention(model: HookedEncoderDecoder, question: Question) -> Attributions:
    _, cache = model.run_with_cache(question.batch, "decoder.*.cross_attn.hook_pattern")
    layers = [cache["pattern", layer, "cross_attn"][0].float().mean(0) for layer in range(model.cfg.n_decoder_layers)]
    return Attributions(torch.stack(layers).mean(0)[question.rows])


@torch.no_grad()
def _norms(model: HookedEncoderDecoder, question: Question) -> Attributions:
    _, cache = model.run_with_cache(
        question.batch, ["decoder.*.cross_attn.hook_pattern", "decoder.*.cross_attn.hook_v"]
    )
    layers = []
    for layer in range(model.cfg.n_decoder_layers):
        path, W_O = attention_path("cross", layer), output_weights(model, "cross", layer).float()
        vectors = source_vectors(cache[f"{path}.hook_v"].float(), W_O)
        layers.append(shares(layer_norms(cache[f"{path}.hook_pattern"].float(), vectors))[0].nan_to_num(0.0))
    return Attributions(torch.stack(layers).mean(0)[question.rows])


@torch.no_grad()
def _alti(model: HookedEncoderDecoder, question: Question) -> Attributions:
    _, cache = model.run_with_cache(question.batch, ALTI_HOOKS)
    flow = alti(model, question.batch, cache)
    return Attributions(flow.source[0, -1, question.rows], flow.target[0, -1, question.rows])


def _chefer(model: HookedEncoderDecoder, question: Question) -> Attributions:
    tokens, foils = (torch.zeros_like(question.batch.labels[0]) for _ in range(2))
    tokens[question.rows], foils[question.rows] = question.tokens, question.foils
    found = chefer(model, question.batch, tokens, foils)
    return Attributions(found.source[question.rows], found.target[question.rows])


def _relevance(hold_patterns: bool) -> "Method":
    def method(model: HookedEncoderDecoder, question: Question) -> Attributions:
        # Terms cancel: in float32 what conserves by its rules would miss the sum by a few millionths of their size.
        with in_float64(model) if hold_patterns else nullcontext(model.hf.dtype) as dtype:
            asked = question.to(dtype)
            source, target, positions, biases = propagate(model, asked, hold_patterns)
            with torch.no_grad():
                value = asked.read(model(asked.batch))[0]
        found = _adding_up(value, source, target, {"positions": positions, "biases": biases})
        return found.to(torch.float32)

    return method


def _captum(name: str) -> "Method":
    def method(model: HookedEncoderDecoder, question: Question) -> Attributions:
        values, gaps = captum_attributions(model, question, name)
        return Attributions(values, gap=None if gaps.isnan().all() else gaps)

    return method


_LACKING: Mapping[str, Callable[[ModelConfig], str | None]] = {
    "alti": why_no_alti,
    "chefer": why_not_in_steps,
    "attnlrp": why_no_attnlrp,
}
"""Method that is not defined on every model -> what the others lack."""

Method = Callable[[HookedEncoderDecoder, Question], Attributions]

METHODS: Mapping[str, Method] = {
    "contributions": _contributions,
    "attention": _attention,
    "norms": _norms,
    "alti": _alti,
    "chefer": _chefer,
    "attnlrp": _relevance(hold_patterns=False),
    "attnlrp-held": _relevance(hold_patterns=True),
    **{name: _captum(name) for name in ("saliency", "input-x-gradient", "integrated-gradients", "occlusion")},
}
"""Name -> how it is computed."""
