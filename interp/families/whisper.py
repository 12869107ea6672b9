"""Where Whisper keeps its activations.

Facts of Whisper (Radford et al. 2023; checked against the host): the layers of pre-norm BART relatives, with two differences that
can be read. Keys have no bias, and queries are divided by the root of a head's width before the attention function sees them, so
`hook_q` is the divided query and scores are q k^T. What the encoder reads is no text: a log-mel spectrogram of fixed length goes
through two convolutions, the second of stride 2, each with a GELU behind it, and what comes out is one vector a frame,
`encoder.hook_embed`. A fixed sinusoid is added to it. Nothing is masked in the encoder and in cross-attention: silence behind the
end of the sound is read like any other frame. Positions of the decoder are learned; the unembedding is its embedding, without a
bias; `scale_embedding` is stored and never used.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from interp.families.bart import BART_HOST, bart_stacks
from interp.families.sites import Site, StackSites

if TYPE_CHECKING:
    from interp.axes import Stack

WHISPER_HOST = replace(
    BART_HOST,
    unembed="proj_out",
    attributes={
        **BART_HOST.attributes,
        "max_positions": "max_target_positions",
        "n_frames": "max_source_positions",
        "n_mels": "num_mel_bins",
    },
    constants={**BART_HOST.constants, "source": "audio", "scaled_queries": True},
    embeddings_scaled=False,
    auto_class="AutoModelForSpeechSeq2Seq",
)


def whisper_stacks() -> "dict[Stack, StackSites]":
    """The sites of both stacks."""
    stacks = bart_stacks("pre", embedding_norm=False, scaled_outside=False)
    before = {**stacks["encoder"].before, "hook_embed": Site("conv2", "frames")}
    return {**stacks, "encoder": replace(stacks["encoder"], before=before)}
