"""Cross-attention over time: where a head listens when it writes a token, how widely, and to what kind of frames.

With a[s] the attention of one decoder row to frame s, whose middle is at time t_s:

    center = sum_s a[s] t_s        spread = sqrt(sum_s a[s] (t_s - center)^2)        share of a category = sum of a[s] over it

Nothing is masked, so a head may listen to the silence behind the end of a sound; its center then says little, and its share of
padding says so.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from interp.errors import InputError
from interp.hooks.names import attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report.framed import Framed
from interp.text.batch import Batch
from interp.text.words import EVERY_CATEGORY, PADDING, SILENCE, SPEECH

KINDS = tuple(EVERY_CATEGORY[one] for one in (SPEECH, SILENCE, PADDING))
"""Categories of frames."""

FOCUS_HOOKS = ("decoder.*.cross_attn.hook_pattern",)
"""The activations that are read here."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TimeFocus(Framed):
    """Where the cross heads listen in one sound, by the row that predicts a token.

    Attributes:
        tokens: what the rows predict.
        center: in seconds.
        spread: in seconds.
        shares: of attention on speech, silence and padding; they add up to 1.
        base: of the frames themselves: what a head that listens everywhere alike has.
    """

    tokens: tuple[str, ...]
    center: Float[np.ndarray, "layer head target"]
    spread: Float[np.ndarray, "layer head target"]
    shares: Float[np.ndarray, "category layer head target"]
    base: Float[np.ndarray, " category"]

    def to_frame(self) -> pd.DataFrame:
        """One row a token, means over layers and heads; in `to_heads` every head has a row."""
        means = {"center (s)": self.center, "spread (s)": self.spread} | dict(zip(KINDS, self.shares, strict=True))
        return pd.DataFrame({"token": self.tokens, **{name: one.mean((0, 1)) for name, one in means.items()}})

    def to_heads(self) -> pd.DataFrame:
        """One row a head, means over tokens."""
        layers, heads, _ = self.center.shape
        means = {"center (s)": self.center, "spread (s)": self.spread} | dict(zip(KINDS, self.shares, strict=True))
        names = [f"XL{layer}H{head}" for layer in range(layers) for head in range(heads)]
        return pd.DataFrame({"head": names, **{name: one.mean(-1).ravel() for name, one in means.items()}})


@torch.no_grad()
def time_focus(model: HookedEncoderDecoder, batch: Batch, cache: ActivationCache, prompt: int = 0) -> TimeFocus:
    """Where the cross heads listen.

    Args:
        model: a model that reads sounds.
        batch: sounds.
        cache: with the activations of `FOCUS_HOOKS`.
        prompt: which of the sounds.

    Raises:
        InputError: if the model reads no sounds.
    """
    seconds = seconds_a_frame(model)
    rows = len(batch.target_texts[prompt].ids)
    paths = (attention_path("cross", layer) for layer in range(model.cfg.n_decoder_layers))
    pattern = torch.stack([cache[f"{path}.hook_pattern"][prompt, :, :rows] for path in paths]).double()
    middles = (torch.arange(pattern.shape[-1], device=pattern.device, dtype=pattern.dtype) + 0.5) * seconds
    center = pattern @ middles
    spread = (pattern * (middles - center.unsqueeze(-1)).square()).sum(-1).sqrt()
    of_kind = torch.stack([batch.source_categories[prompt] == one for one in (SPEECH, SILENCE, PADDING)]).to(pattern)
    shares = torch.einsum("lhts,cs->clht", pattern, of_kind)
    numbers = (one.cpu().numpy() for one in (center, spread, shares, of_kind.mean(-1)))
    return TimeFocus(batch.target_texts[prompt].pieces, *numbers)


def seconds_a_frame(model: HookedEncoderDecoder) -> float:
    """How long a frame lasts.

    Args:
        model: a model that reads sounds.

    Raises:
        InputError: if it reads none, or has no feature extractor.
    """
    if model.sounds is None:
        raise InputError(
            f"Times are those of sounds; this model has source={model.cfg.source!r}"
            + (" and was wrapped without a feature extractor." if model.cfg.source == "audio" else ".")
        )
    return model.sounds.seconds
