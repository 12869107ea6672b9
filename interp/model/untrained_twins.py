"""Untrained twins: what a finding must be compared with before it is a finding (Adebayo et al. 2018).

A twin has the same architecture and new random weights. One trap of the host is undone here: a model whose
unembedding is its own tensor would come out of its configuration tied and unscaled, or untied with standard deviation 1, and
its logits would be sqrt(d_model) too large, so that the control would be saturated. The twin's unembedding is drawn by hand
with standard deviation d_model^-0.5 / logit scale, which gives logits of standard deviation 1.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from interp.hooks.attention import register
from interp.hooks.host_weights import weight_of
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.placement import Spread, placed, spread_of


@dataclass(frozen=True, slots=True, eq=False)
class Architecture:
    """All of a model but its weights: what its untrained twins are drawn from, in this process or another.

    Attributes:
        host: class of the host's model.
        config: the host's configuration.
        tied: whether the unembedding is the input embedding.
        logit_scale: factor of the decoder output before the unembedding.
        device: where twins go.
        dtype: type of their weights.
        tokenizer: the model's, or None.
        max_length: most tokens a side.
        source_lang: the language of sources, as given to the model.
        target_lang: the language of targets.
        generation_config: how the host writes.
        spread: where the parts of the weights go, of a model on several devices.
        feature_extractor: what makes spectrograms of sounds, or None.
    """

    host: type[PreTrainedModel]
    config: PreTrainedConfig
    tied: bool
    logit_scale: float
    device: torch.device
    dtype: torch.dtype
    tokenizer: PreTrainedTokenizerBase | None
    max_length: int
    source_lang: str | None
    target_lang: str | None
    generation_config: GenerationConfig
    spread: Spread | None = None
    feature_extractor: Any = None

    @classmethod
    def of(cls, model: HookedEncoderDecoder) -> "Architecture":
        """The architecture of a model.

        Args:
            model: the model; it is not changed.
        """
        return cls(
            host=type(model.hf),
            config=copy.deepcopy(model.hf.config),
            tied=model.tied_embeddings,
            logit_scale=model.cfg.logit_scale,
            device=model.device,
            dtype=model.dtype,
            tokenizer=model.tokenizer,
            max_length=model.max_length,
            source_lang=model.languages.source,
            target_lang=model.languages.target,
            generation_config=copy.deepcopy(model.hf.generation_config),
            spread=spread_of(model.hf),
            feature_extractor=None if model.sounds is None else model.sounds.extractor,
        )

    def twin(self, seed: int) -> HookedEncoderDecoder:
        """A model with weights drawn anew by the host's own initialization; see `untrained_twin`.

        Args:
            seed: of the draw.
        """
        register()  # in another process nobody has yet, and the configuration names our attention
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            twin = self.host(copy.deepcopy(self.config))
            twin.generation_config = copy.deepcopy(self.generation_config)
            if not self.tied:
                _untie(twin, self.logit_scale)
        twin = placed(twin.requires_grad_(False), self.spread, self.device, self.dtype)
        spoken = (self.source_lang, self.target_lang)
        return HookedEncoderDecoder(twin, self.tokenizer, self.max_length, *spoken, self.feature_extractor)


def untrained_twin(model: HookedEncoderDecoder, seed: int) -> HookedEncoderDecoder:
    """A model of the same architecture with weights drawn anew by the host's own initialization.

    Args:
        model: the model to compare with; it is not changed, and no random state outside is touched.
        seed: of the draw; the same seed gives the same twin on any device.

    Returns:
        The twin on the same device and in the same type, weights frozen, with the same tokenizer and length limit.
    """
    return Architecture.of(model).twin(seed)


def _untie(twin: nn.Module, logit_scale: float) -> None:
    """Give the twin an unembedding of its own."""
    head = twin.get_output_embeddings()  # type: ignore[operator]
    rows, d_model = weight_of(head).shape
    head.weight = nn.Parameter(torch.randn(rows, d_model) * d_model**-0.5 / logit_scale)
