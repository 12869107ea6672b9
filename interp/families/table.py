"""The rows of the table: which families there are. A new one is a row here, with its sites and what its host's code shares.

A family is data: for every activation a `Site` says which module tells about it and from which side, and a `Host` says under
which names its configuration keeps the facts (`families.t5`, `families.bart`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from interp.errors import InputError
from interp.families.bart import BART_HOST, PLBART_HOST, bart_stacks
from interp.families.config import Positions
from interp.families.half_visible import HALF_VISIBLE
from interp.families.sites import Host, NormPlace, StackSites
from interp.families.t5 import SWITCH_HOST, T5_HOST, t5_stacks
from interp.families.t5gemma import T5GEMMA_HOST, t5gemma_stacks
from interp.families.t5gemma2 import T5GEMMA2_HOST, t5gemma2_stacks
from interp.families.whisper import WHISPER_HOST, whisper_stacks

if TYPE_CHECKING:
    from interp.axes import Stack

DecoderInputs = Literal["start", "last"]


@dataclass(frozen=True, slots=True)
class Family:
    """One row of the table.

    Attributes:
        model_type: the host's `config.model_type`.
        host: what it shares with the other models of its host's code.
        stacks: sites of the encoder and the decoder.
        logit_scale: whether the decoder output is multiplied by d_model^-0.5 before the unembedding, or what attribute says it.
        bias_per_layer: whether every self-attention layer has its own position-bias table.
        norm_place: whether sublayers norm what they read (`pre`) or what they leave (`post`).
        positions: how positions enter: as a bias of scores (`relative`), by rotation of queries and keys (`rotary`), or added to
            the embedding.
        decoder_inputs: made from labels by putting the start token first (`start`), or the last label (`last`).
        heads: the host's classes that checkpoints of this family name, in `architectures`. A body alone is enough where nothing
            else is trained: in BART's relatives the unembedding is the embedding.
        public: what public models of this row are called, where one name is not the row's own.
    """

    model_type: str
    host: Host
    stacks: "Mapping[Stack, StackSites]"
    logit_scale: Literal["scale_decoder_outputs", "tie_word_embeddings", "never", "always"] = "never"
    bias_per_layer: bool = False
    norm_place: NormPlace = "pre"
    positions: Positions = "relative"
    decoder_inputs: DecoderInputs = "start"
    heads: tuple[str, ...] = ()
    public: tuple[str, ...] = ()


def _bart_like(
    model_type: str,
    heads: tuple[str, ...],
    norm_place: NormPlace,
    positions: Positions,
    embedding_norm: bool,
    scaled_outside: bool,
    decoder_inputs: DecoderInputs = "start",
    positions_last: bool = False,
    host: Host = BART_HOST,
    public: tuple[str, ...] = (),
) -> Family:
    stacks = bart_stacks(norm_place, embedding_norm, scaled_outside, positions_last)
    return Family(
        model_type,
        host,
        stacks,
        norm_place=norm_place,
        positions=positions,
        decoder_inputs=decoder_inputs,
        heads=heads,
        public=public,
    )


def _heads(stem: str) -> tuple[str, ...]:
    return (f"{stem}ForConditionalGeneration", f"{stem}Model")


FAMILIES: Mapping[str, Family] = {
    family.model_type: family
    for family in (
        Family(
            "t5",
            T5_HOST,
            t5_stacks(False),
            "scale_decoder_outputs",
            heads=("T5ForConditionalGeneration", "T5WithLMHeadModel"),
            public=("t5-v1.1", "flan-t5", "byt5", "chronos-t5"),
        ),
        Family("mt5", T5_HOST, t5_stacks(False), heads=("MT5ForConditionalGeneration",)),
        Family(
            "umt5", T5_HOST, t5_stacks(True), "always", bias_per_layer=True, heads=("UMT5ForConditionalGeneration",)
        ),
        Family(
            "switch_transformers",
            SWITCH_HOST,
            t5_stacks(False, feed_forward="mlp", experts=True),
            "tie_word_embeddings",
            heads=("SwitchTransformersForConditionalGeneration",),
        ),
        Family(
            "t5gemma",
            T5GEMMA_HOST,
            t5gemma_stacks(),
            positions="rotary",
            heads=("T5GemmaForConditionalGeneration",),
        ),
        Family(
            "t5gemma2",
            T5GEMMA2_HOST,
            t5gemma2_stacks(),
            positions="rotary",
            heads=("T5Gemma2ForConditionalGeneration",),
        ),
        _bart_like("bart", _heads("Bart"), "post", "learned", embedding_norm=True, scaled_outside=False),
        _bart_like(
            "marian",
            ("MarianMTModel", "MarianModel"),
            "post",
            "sinusoidal",
            embedding_norm=False,
            scaled_outside=True,
        ),
        _bart_like(
            "mbart",
            _heads("MBart"),
            "pre",
            "learned",
            embedding_norm=True,
            scaled_outside=False,
            decoder_inputs="last",
        ),
        _bart_like("pegasus", _heads("Pegasus"), "pre", "sinusoidal", embedding_norm=False, scaled_outside=True),
        _bart_like(
            "m2m_100",
            _heads("M2M100"),
            "pre",
            "sinusoidal",
            embedding_norm=False,
            scaled_outside=False,
            public=("nllb",),
        ),
        _bart_like(
            "plbart",
            _heads("PLBart"),
            "post",
            "learned",
            embedding_norm=True,
            scaled_outside=False,
            decoder_inputs="last",
            host=PLBART_HOST,
        ),
        _bart_like("blenderbot", _heads("Blenderbot"), "pre", "learned", embedding_norm=False, scaled_outside=False),
        _bart_like(
            "blenderbot-small",
            _heads("BlenderbotSmall"),
            "post",
            "learned",
            embedding_norm=True,
            scaled_outside=True,
            positions_last=True,
        ),
        Family(
            "whisper",
            WHISPER_HOST,
            whisper_stacks(),
            positions="learned",
            heads=("WhisperForConditionalGeneration",),
            public=("distil-whisper",),
        ),
    )
}


def family_of(model_type: str, is_encoder_decoder: bool) -> Family:
    """The table's row for a model type.

    Args:
        model_type: the host's `config.model_type`.
        is_encoder_decoder: whether the host says that it is one, for the sentence of the refusal.

    Raises:
        InputError: if the family is not in the table, saying which are, and of those that are half visible what is missing.
    """
    if model_type in FAMILIES:
        return FAMILIES[model_type]
    allowed = ", ".join(sorted(FAMILIES))
    if model_type in HALF_VISIBLE:
        raise InputError(
            f"Models of type {model_type!r} are refused: {HALF_VISIBLE[model_type]}. Supported are {allowed} (`interp list "
            "families`)."
        )
    kind = "an encoder-decoder this package does not know" if is_encoder_decoder else "not an encoder-decoder"
    raise InputError(
        f"Model type {model_type!r} is {kind}; supported are {allowed} (ByT5, v1.1 and Flan are t5, NLLB "
        "is m2m_100; `interp list families` says more). Choose a model of one of these families."
    )
