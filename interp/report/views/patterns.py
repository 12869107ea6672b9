"""What does a view need to know of a model? The attention patterns of one prompt and its tokens, nothing else."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

AttentionKind = Literal["encoder", "decoder", "cross"]

KIND_NAMES: dict[AttentionKind, str] = {
    "encoder": "encoder self-attention",
    "decoder": "decoder self-attention",
    "cross": "cross-attention",
}


@dataclass(frozen=True, eq=False)
class AttentionPatterns:
    """The attention patterns of one prompt, without padding; each row over keys sums to 1. A kind without layers is not known.

    Attributes:
        encoder: weights of source positions (query) on source positions (key).
        decoder: weights of target positions on target positions.
        cross: weights of target positions on source positions.
        source_tokens: one text per source position.
        target_tokens: one text per target position of the decoder's input.

    Raises:
        ValueError: if sizes do not fit each other or a weight is not between 0 and 1.
    """

    encoder: Float[np.ndarray, "encoder_layer encoder_head source source"]
    decoder: Float[np.ndarray, "decoder_layer decoder_head target target"]
    cross: Float[np.ndarray, "cross_layer cross_head target source"]
    source_tokens: tuple[str, ...]
    target_tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        source, target = len(self.source_tokens), len(self.target_tokens)
        sizes: dict[AttentionKind, tuple[int, int]] = {
            "encoder": (source, source),
            "decoder": (target, target),
            "cross": (target, source),
        }
        for kind, positions in sizes.items():
            pattern = self.of(kind)
            if pattern.ndim != 4 or pattern.shape[2:] != positions or (pattern.size == 0 and len(pattern)):
                raise ValueError(
                    f"The {KIND_NAMES[kind]} must have shape [layer, head, {positions[0]}, {positions[1]}] to fit "
                    f"{source} source and {target} target tokens, got {list(pattern.shape)}."
                )
            # NaN fails this comparison too.
            if not ((pattern >= -1e-6) & (pattern <= 1 + 1e-3)).all():
                raise ValueError(
                    f"The {KIND_NAMES[kind]} holds a weight outside [0, 1] or NaN; give patterns after the softmax, "
                    "of one prompt without padding."
                )

    def of(self, kind: AttentionKind) -> np.ndarray:
        """The pattern of one kind of attention, [layer head query key].

        Args:
            kind: the kind of attention.
        """
        return {"encoder": self.encoder, "decoder": self.decoder, "cross": self.cross}[kind]

    def tokens(self, kind: AttentionKind) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Tokens of the queries and of the keys of one kind of attention.

        Args:
            kind: the kind of attention.
        """
        queries = self.source_tokens if kind == "encoder" else self.target_tokens
        return queries, self.target_tokens if kind == "decoder" else self.source_tokens
