"""Lenses: what the model would say before its last layer.

Three readings of an unfinished computation, which answer different questions and must not be mixed up:

    logit lens                decoder stream after layer l through the final norm AND unembedding, the norm's scale taken anew
                              for that stream: what the model would say if it stopped there (nostalgebraist 2020)
    accumulated attribution   the same stream under the scale of the LAST layer's norm: a running sum of direct contributions,
                              linear, ending at the same logit; the running sum of `direct_logit_attribution.decompose`
    DecoderLens               the whole decoder reading the encoder's stream after layer l, through the encoder's final norm, in
                              place of the memory (Langedijk et al. 2023)

Post-norm layers (BART, Marian) hand on a normed stream, and no final norm comes behind them: there the lenses read the stream as
it is.

The unembedding is applied to one layer at a time; tokens are then scored, and no layer x vocabulary tensor is kept.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers.modeling_outputs import MoEModelOutput

from interp.attribution.direct_logit_attribution import decompose
from interp.attribution.logit_readout import Readout
from interp.axes import Logits, Residual, Stack
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import scored
from interp.report.framed import Framed
from interp.text.batch import Batch
from interp.text.tokenized_text import Text

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Trajectory(Framed):
    """One token followed through the layers; depth 0 is the embedding, depth l the stream after layer l - 1.

    Attributes:
        logit: its logit.
        log_probability: its log-probability.
        rank: how many tokens have a larger logit, rows that stand for nothing left out; 0 is the first choice.
    """

    logit: Float[Tensor, "batch depth target"]
    log_probability: Float[Tensor, "batch depth target"]
    rank: Int[Tensor, "batch depth target"]

    def to_frame(self) -> "pd.DataFrame":
        """One row a prompt, depth and decoder row, padded rows with them; ranks count from 0."""
        import pandas as pd

        prompts, depths, rows = np.indices(self.rank.shape).reshape(3, -1)
        numbers = {"logit": self.logit, "log-probability (nats)": self.log_probability, "rank": self.rank}
        return pd.DataFrame(
            {"prompt": prompts, "depth": depths, "row": rows}
            | {name: values.detach().cpu().numpy().ravel() for name, values in numbers.items()}
        )


def lens_hooks(model: HookedEncoderDecoder, stack: Stack) -> tuple[str, ...]:
    """The hook points that hold a stack's stream before its layers and after each of them.

    Args:
        model: the model.
        stack: which stack.
    """
    last = model.cfg.n_layers(stack) - 1
    return (f"{stack}.*.hook_resid_pre", f"{stack}.{last}.hook_resid_post")


def streams(model: HookedEncoderDecoder, cache: ActivationCache, stack: Stack) -> Iterator[Residual]:
    """The residual stream of a stack at every depth, from its embedding to after its last layer, never normed.

    Args:
        model: the model the cache came from.
        cache: with the activations of `lens_hooks`.
        stack: which stack.
    """
    depth = model.cfg.n_layers(stack)
    for layer in range(depth):
        yield cache[f"{stack}.{layer}.hook_resid_pre"]
    yield cache[f"{stack}.{depth - 1}.hook_resid_post"]


def read_out(model: HookedEncoderDecoder, stream: Residual) -> Logits:
    """The logits of an unfinished decoder stream: final norm if there is one, logit scale, unembedding and its bias.

    Args:
        model: the model.
        stream: a decoder stream that has not been normed (Hugging Face's last hidden state has, and would be normed twice).
    """
    return scored(model, final_norm(model, stream, "decoder"))


def final_norm(model: HookedEncoderDecoder, stream: Residual, stack: Stack) -> Residual:
    """The stream through its stack's final norm; as it is in post-norm families, which have none.

    Args:
        model: the model.
        stream: that has not been normed.
        stack: whose stream it is.
    """
    normed: Tensor = model.module(f"{stack}.ln_final")(stream) if model.cfg.has_final_norm else stream
    return normed


def logit_lens(model: HookedEncoderDecoder, cache: ActivationCache, tokens: Int[Tensor, "batch target"]) -> Trajectory:
    """One token of every decoder row followed through the decoder's layers with the logit lens (nostalgebraist 2020).

    Args:
        model: the model the cache came from.
        cache: with the activations of `lens_hooks(model, "decoder")`.
        tokens: the token to follow in every row, e.g. its label.
    """
    return _trajectory(model, (read_out(model, stream) for stream in streams(model, cache, "decoder")), tokens)


def accumulated_attribution(
    model: HookedEncoderDecoder, cache: ActivationCache, readout: Readout
) -> Float[Tensor, "batch depth target"]:
    """The running sum of direct contributions to a read-out, layer by layer, under the norms of the whole pass.

    Constants behind the last layer (the biases of the final norm and of the unembedding) count at every depth.

    Args:
        model: the model the cache came from.
        cache: with the activations of `direct_logit_attribution.decomposition_hooks`.
        readout: what is read; the last depth is its value.
    """
    found = decompose(model, cache, readout)
    layers = torch.tensor([-1 if one.layer is None else one.layer for one in found.components])
    depths = range(-1, model.cfg.n_decoder_layers)
    return torch.stack([found.values[..., layers <= depth].sum(-1) for depth in depths], 1)


def decoder_lens(
    model: HookedEncoderDecoder, batch: Batch, cache: ActivationCache, tokens: Int[Tensor, "batch target"]
) -> Trajectory:
    """One token of every decoder row followed while the decoder reads ever later layers of the encoder, teacher-forced.

    DecoderLens (Langedijk et al. 2023). The last depth is the model itself. Earlier memories are unlike any the decoder was
    trained on: that it cannot decode them is no evidence that the information is absent.

    Args:
        model: the model the cache came from.
        batch: the prompts.
        cache: with the activations of `lens_hooks(model, "encoder")`.
        tokens: the token to follow in every row.
    """
    return _trajectory(model, (decode(model, batch, memory) for memory in encoder_outputs(model, cache)), tokens)


def encoder_outputs(model: HookedEncoderDecoder, cache: ActivationCache) -> Iterator[Residual]:
    """What the decoder would read if the encoder ended after 0, 1, ... layers: its stream through its own final norm, if any.

    Args:
        model: the model the cache came from.
        cache: with the activations of `lens_hooks(model, "encoder")`.
    """
    for stream in streams(model, cache, "encoder"):
        yield final_norm(model, stream, "encoder")


def decode(model: HookedEncoderDecoder, fields: Batch | Mapping[str, Tensor], memory: Residual) -> Logits:
    """The logits of the decoder reading a memory, teacher-forced.

    Args:
        model: the model.
        fields: both attention masks and the decoder's inputs, by Hugging Face's names.
        memory: what stands in for the encoder's output.
    """
    logits: Tensor = model.hf(
        encoder_outputs=MoEModelOutput(last_hidden_state=memory),
        attention_mask=fields["attention_mask"],
        decoder_input_ids=fields["decoder_input_ids"],
        decoder_attention_mask=fields["decoder_attention_mask"],
        use_cache=False,
    ).logits
    return logits


def decoder_lens_texts(
    model: HookedEncoderDecoder, batch: Batch, cache: ActivationCache, max_new_tokens: int = 64
) -> tuple[tuple[Text, ...], ...]:
    """What the decoder writes, greedily and freely, when it reads each depth of the encoder.

    Args:
        model: the model the cache came from.
        batch: the prompts.
        cache: with the activations of `lens_hooks(model, "encoder")`.
        max_new_tokens: limit of every text.

    Returns:
        For every depth, the text of every prompt, cut after its first end of sentence.
    """
    return tuple(
        model.write(batch, max_new_tokens=max_new_tokens, memory=memory)[0].target_texts
        for memory in encoder_outputs(model, cache)
    )


def _trajectory(
    model: HookedEncoderDecoder, per_depth: Iterator[Logits], tokens: Int[Tensor, "batch target"]
) -> Trajectory:
    logit, log_probability, rank = [], [], []
    for logits in per_depth:
        chosen = logits.gather(-1, tokens.unsqueeze(-1))
        logit.append(chosen.squeeze(-1))
        # Prompt by prompt: of a large vocabulary each of these takes as much memory as the logits.
        log_probability.append((chosen - _by_prompt(lambda one: one.logsumexp(-1, keepdim=True), logits)).squeeze(-1))
        rank.append(_by_prompt(lambda one, floor: ((one > floor) & model.named_rows).sum(-1), logits, chosen))
        del logits
    return Trajectory(torch.stack(logit, 1), torch.stack(log_probability, 1), torch.stack(rank, 1))


def _by_prompt(function: Callable[..., Tensor], *batched: Tensor) -> Tensor:
    return torch.stack([function(*parts) for parts in zip(*batched, strict=True)])
