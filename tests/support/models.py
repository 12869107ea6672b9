"""Tiny random models and batches for tests: no download, no tokenizer needed, a forward pass in milliseconds.

Every dimension of a tiny model differs from every other, n_heads * d_head is not d_model, the two depths differ, norm gains are
random (a forgotten gain shows) and position biases are large (a wrong bucket shows). Same name and seed, same weights.

    model = tiny("v1.1")                                    HookedEncoderDecoder
    reference = tiny_hf("v1.1")                             the same weights, plain transformers, eager attention
    batch = random_batch(model, source_lengths=(15, 12, 19), target_lengths=(13, 17, 12), seed=0)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BlenderbotConfig,
    BlenderbotForConditionalGeneration,
    BlenderbotSmallConfig,
    BlenderbotSmallForConditionalGeneration,
    ByT5Tokenizer,
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    MBartConfig,
    MBartForConditionalGeneration,
    MT5Config,
    MT5ForConditionalGeneration,
    PegasusConfig,
    PegasusForConditionalGeneration,
    PLBartConfig,
    PLBartForConditionalGeneration,
    PreTrainedConfig,
    PreTrainedModel,
    SwitchTransformersConfig,
    SwitchTransformersForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
    T5Gemma2Config,
    T5Gemma2ForConditionalGeneration,
    T5GemmaConfig,
    T5GemmaForConditionalGeneration,
    UMT5Config,
    UMT5ForConditionalGeneration,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from interp.audio import SoundReader
from interp.hooks.attention import attend_with
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch, collate
from interp.text.tokenized_text import Text
from interp.text.words import CONTENT, EOS, FUNCTION, NO_WORD, PREFIX, PUNCTUATION
from tests.support.sounds import sound

SIZES: dict[str, Any] = {
    "vocab_size": 61,
    "d_model": 24,
    "d_kv": 4,
    "d_ff": 28,
    "num_heads": 5,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "dropout_rate": 0.0,
    "decoder_start_token_id": 0,
}


@dataclass(frozen=True)
class Recipe:
    """How a tiny model is built: host class, configuration, and whether the unembedding is untied by hand."""

    model: type[PreTrainedModel]
    config: Callable[..., PreTrainedConfig]
    untied: bool
    changes: dict[str, Any] = field(default_factory=dict)


_GATED = {"feed_forward_proj": "gated-gelu"}
_V11 = {**_GATED, "tie_word_embeddings": False}
_DEEP_ENCODER = {"num_layers": 4, "num_decoder_layers": 1}

RECIPES = {
    "t5": Recipe(T5ForConditionalGeneration, T5Config, untied=False),
    "t5-deep-encoder": Recipe(T5ForConditionalGeneration, T5Config, untied=False, changes=_DEEP_ENCODER),
    "v1.1": Recipe(T5ForConditionalGeneration, T5Config, untied=True, changes=_V11),
    "mt5": Recipe(MT5ForConditionalGeneration, MT5Config, untied=True, changes=_GATED),
    "umt5": Recipe(UMT5ForConditionalGeneration, UMT5Config, untied=True, changes=_GATED),
    "byt5": Recipe(T5ForConditionalGeneration, T5Config, untied=True, changes={**_V11, "vocab_size": 384}),
}

FAMILIES = tuple(RECIPES)
"""Names of the tiny models of T5's family; `t5` is tied and ungated, the others differ from it as their names say."""


_ABSOLUTE_SIZES: dict[str, Any] = {
    "vocab_size": 61,
    "d_model": 20,
    "encoder_ffn_dim": 28,
    "decoder_ffn_dim": 36,
    "encoder_attention_heads": 5,
    "decoder_attention_heads": 10,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "max_position_embeddings": 160,
    "dropout": 0.0,
    "init_std": 0.3,
    "scale_embedding": True,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "forced_eos_token_id": None,
    "decoder_start_token_id": 2,
}

BART_RECIPES = {
    "bart": Recipe(BartForConditionalGeneration, BartConfig, untied=False, changes={"activation_function": "gelu"}),
    "marian": Recipe(MarianMTModel, MarianConfig, untied=False, changes={"activation_function": "silu"}),
    "mbart": Recipe(MBartForConditionalGeneration, MBartConfig, untied=False),
    "pegasus": Recipe(PegasusForConditionalGeneration, PegasusConfig, untied=False),
    "m2m_100": Recipe(M2M100ForConditionalGeneration, M2M100Config, untied=False),
    "plbart": Recipe(PLBartForConditionalGeneration, PLBartConfig, untied=False),
    "blenderbot": Recipe(BlenderbotForConditionalGeneration, BlenderbotConfig, untied=False),
    "blenderbot-small": Recipe(BlenderbotSmallForConditionalGeneration, BlenderbotSmallConfig, untied=False),
}

BART_FAMILIES = tuple(BART_RECIPES)
"""Names of the tiny models with absolute positions, LayerNorm and biases; see `oracle_bart.POST_NORM`.

Their stacks have different numbers of heads: 5 of width 4 in the encoder, 10 of width 2 in the decoder.
"""


_GEMMA_SIZES: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 24,
    "head_dim": 8,
    "rms_norm_eps": 1e-6,
    "query_pre_attn_scalar": 7,
    "sliding_window": 6,
    "attn_logit_softcapping": 3.0,
    "final_logit_softcapping": 9.0,
    "initializer_range": 0.3,
}
_GEMMA_STACKS = {
    "encoder": {"num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 3, "intermediate_size": 28},
    "decoder": {"num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 36},
}


def _t5gemma(**changes: Any) -> T5GemmaConfig:
    """Both stacks' configurations; changes are of both."""
    stacks = {stack: {**_GEMMA_SIZES, **own, **changes} for stack, own in _GEMMA_STACKS.items()}
    return T5GemmaConfig(**stacks, vocab_size=_GEMMA_SIZES["vocab_size"])


_SEEING = {
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "image_size": 14,
    "patch_size": 14,
}
END_OF_IMAGE = 57
"""The token that has an embedding of its own beside the table in the tiny T5Gemma 2."""


def _t5gemma2(**changes: Any) -> T5Gemma2Config:
    """Layers with and without a window in either stack; the caps are those of T5Gemma, and the host does not read the first."""
    text = {stack: {**_GEMMA_SIZES, **own, **changes} for stack, own in _GEMMA_STACKS.items()}
    types = {"encoder": ["sliding_attention", "full_attention"]}
    types["decoder"] = [*types["encoder"], "sliding_attention"]
    for stack, sizes in text.items():
        sizes.setdefault("layer_types", types[stack])
    encoder = {"text_config": text["encoder"], "vision_config": _SEEING, "mm_tokens_per_image": 1}
    return T5Gemma2Config(
        encoder={**encoder, "eoi_token_index": END_OF_IMAGE}, decoder=text["decoder"], image_token_index=60
    )


GEMMA_RECIPES = {
    "t5gemma": Recipe(T5GemmaForConditionalGeneration, _t5gemma, untied=False),
    "t5gemma2": Recipe(T5Gemma2ForConditionalGeneration, _t5gemma2, untied=False),
}

GEMMA_FAMILIES = tuple(GEMMA_RECIPES)
"""Names of the tiny models with rotary positions, grouped keys and values, norms on both sides, windows and caps."""


_EXPERTS = {
    "num_decoder_layers": 4,
    "num_sparse_encoder_layers": 1,
    "num_sparse_decoder_layers": 2,
    "num_experts": 3,
    "expert_capacity": 6,
}

SWITCH_RECIPES = {
    "switch": Recipe(
        SwitchTransformersForConditionalGeneration, SwitchTransformersConfig, untied=False, changes=_EXPERTS
    )
}

SWITCH_FAMILIES = tuple(SWITCH_RECIPES)
"""Names of the tiny models with experts: in encoder layer 1 and decoder layers 1 and 3, where some tokens find none free."""
_WHISPER_SIZES: dict[str, Any] = {
    **{
        name: value
        for name, value in _ABSOLUTE_SIZES.items()
        if name not in ("max_position_embeddings", "forced_eos_token_id")
    },
    "bos_token_id": 1,
    "decoder_start_token_id": 0,
    "num_mel_bins": 14,
    "max_source_positions": 50,
    "max_target_positions": 160,
    "activation_function": "gelu",
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
}

WHISPER_RECIPES = {"whisper": Recipe(WhisperForConditionalGeneration, WhisperConfig, untied=False)}

WHISPER_FAMILIES = tuple(WHISPER_RECIPES)
"""Names of the tiny models that read sounds of at most a second, in 50 frames; heads as in `BART_FAMILIES`."""


def extractor() -> WhisperFeatureExtractor:
    """What makes spectrograms for `tiny("whisper")`."""
    return WhisperFeatureExtractor(feature_size=_WHISPER_SIZES["num_mel_bins"], chunk_length=1)


def tiny_hf(name: str, seed: int = 0, **changes: Any) -> PreTrainedModel:
    """A tiny random transformers model with eager attention, in eval mode, weights frozen.

    Args:
        name: one of `FAMILIES`, `SWITCH_FAMILIES`, `BART_FAMILIES`, `GEMMA_FAMILIES` or `WHISPER_FAMILIES`.
        seed: of the weights; the global random state is left as it was.
        changes: configuration entries to change, e.g. `num_layers=1`.
    """
    recipe = {**RECIPES, **SWITCH_RECIPES, **BART_RECIPES, **GEMMA_RECIPES, **WHISPER_RECIPES}[name]
    own = (
        ({**RECIPES, **SWITCH_RECIPES}, SIZES),
        (BART_RECIPES, _ABSOLUTE_SIZES),
        (WHISPER_RECIPES, _WHISPER_SIZES),
    )
    sizes = next((sizes for recipes, sizes in own if name in recipes), {})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = recipe.model(recipe.config(**{**sizes, **recipe.changes, **changes}))
        if recipe.untied:
            shape = model.lm_head.weight.shape
            model.lm_head.weight = nn.Parameter(torch.randn(shape) * shape[1] ** -0.5)
        _make_every_parameter_matter(model)
    attend_with(model, "eager")
    return model.eval().requires_grad_(False)


def _make_every_parameter_matter(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if "norm" in name and parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.5, 1.5) if name.endswith("weight") else nn.init.normal_(parameter, std=0.3)
        elif "relative_attention_bias" in name or name.endswith("eoi_embedding"):
            nn.init.normal_(parameter)
        elif name.endswith("bias"):
            nn.init.normal_(parameter, std=0.3)
    for name, buffer in model.named_buffers():
        if name == "final_logits_bias":
            nn.init.normal_(buffer)


def tiny(name: str = "t5", seed: int = 0, **changes: Any) -> HookedEncoderDecoder:
    """A hooked tiny model, with the same weights as `tiny_hf(name, seed, **changes)`; `byt5` has its tokenizer."""
    hears = extractor() if name in WHISPER_RECIPES else None
    tokenizer = ByT5Tokenizer() if name == "byt5" else None
    return HookedEncoderDecoder(tiny_hf(name, seed, **changes), tokenizer, feature_extractor=hears)


def random_batch(
    model: HookedEncoderDecoder,
    source_lengths: Sequence[int] = (15, 12, 19),
    target_lengths: Sequence[int] = (13, 17, 12),
    seed: int = 0,
    same_prefix: bool = False,
) -> Batch:
    """A padded batch of random tokens, each text ended by end-of-sentence.

    Sources have two prefix tokens, then content, content, function, punctuation in turn; every two tokens make a word.

    Args:
        model: whose vocabulary to draw from, special tokens excluded.
        source_lengths: tokens of every source, end of sentence included.
        target_lengths: as many target lengths.
        seed: of the tokens.
        same_prefix: give all sources the prefix of the first, as ablations by a mean or by another sentence need it.
    """
    generator = torch.Generator().manual_seed(seed)
    sources = [_random_text(model, length, generator, prefix=2) for length in source_lengths]
    features = None
    if model.cfg.source == "audio":
        sounds = [sound(length / 20, seed + place) for place, length in enumerate(source_lengths)]
        sources, features = SoundReader.of(extractor(), model.cfg).read(sounds)
        features = features.to(model.dtype)
    targets = [_random_text(model, length, generator, prefix=0) for length in target_lengths]
    if same_prefix and features is None:
        sources = [replace(text, ids=(*sources[0].ids[:2], *text.ids[2:])) for text in sources]
    made = collate(sources, targets, model.cfg, model.decoder_inputs, "given", input_features=features)
    return made.to(model.device)


def _random_text(model: HookedEncoderDecoder, length: int, generator: torch.Generator, prefix: int) -> Text:
    ids = torch.randint(3, model.cfg.d_vocab, (length,), generator=generator).tolist()
    ids[-1] = model.cfg.eos_token_id
    pieces = [f"{token}" if index % 2 else f"▁{token}" for index, token in enumerate(ids)]
    pieces[-1] = "</s>"
    turn = (CONTENT, CONTENT, FUNCTION, PUNCTUATION)
    categories = [PREFIX if index < prefix else turn[(index - prefix) % 4] for index in range(length)]
    categories[-1] = EOS
    words = ["".join(pieces[start : min(start + 2, length - 1)]).lstrip("▁") for start in range(0, length - 1, 2)]
    words_of_tokens = [index // 2 for index in range(length - 1)]
    return Text(
        text=" ".join(words),
        ids=tuple(ids),
        pieces=tuple(pieces),
        words=tuple(words),
        word_of_token=(*words_of_tokens, NO_WORD),
        category_of_token=tuple(categories),
    )
