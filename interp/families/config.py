"""The facts of one model, whatever its family: two depths, two numbers of heads, how positions enter, where norms are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from interp.errors import InputError
from interp.families.sites import NormPlace

if TYPE_CHECKING:
    from interp.axes import AttentionKind, Stack

Source = Literal["tokens", "audio"]
Positions = Literal["relative", "learned", "sinusoidal", "rotary"]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The facts of one model; two depths, always.

    Attributes:
        model_type: family, as in the host's configuration.
        n_encoder_layers: depth of the encoder.
        n_decoder_layers: depth of the decoder.
        n_encoder_heads: heads of an encoder layer.
        n_decoder_heads: heads of a decoder layer, in self-attention and in cross-attention.
        d_model: width of the residual stream.
        d_encoder_head: width of an encoder head's query, key or value; heads times width need not equal d_model.
        d_decoder_head: the same of decoder heads, cross-attention included.
        d_encoder_mlp: neurons of a feed-forward layer of the encoder.
        d_decoder_mlp: the same of the decoder.
        d_vocab: rows of the embedding, trained or not.
        act_fn: activation function, by the host's name.
        gated_mlp: whether the feed-forward layer is act(x W_gate) * (x W_in).
        eps: epsilon of the norms.
        norm: `rms` or `layer`.
        scaled_scores: whether the query-key product is divided by the square root of a head's width; not in T5.
        logit_scale: factor s of the normed decoder output before the unembedding.
        bias_per_layer: whether every self-attention layer has its own position-bias table.
        relative_attention_num_buckets: rows of a position-bias table; 0 where positions are absolute.
        relative_attention_max_distance: distance from which all positions share the last bucket.
        decoder_start_token_id: first decoder input.
        pad_token_id: padding.
        eos_token_id: end of a text.
        norm_place: whether sublayers norm what they read (`pre`) or what they leave (`post`).
        positions: how positions enter.
        embed_scale: factor of the token embeddings; `hook_embed` includes it.
        positions_last: whether the decoder takes embeddings without `embed_scale` and adds positions behind their norm.
        n_encoder_kv_heads: heads of keys and values of an encoder layer, where they are fewer than those of queries; else None.
        n_decoder_kv_heads: the same of decoder layers, cross-attention included.
        score_divisor: the number whose root scaled scores are divided by, where it is not a head's width.
        score_cap: c of scores that are capped, c tanh(score / c); None where they are not.
        logit_cap: the same of logits, behind the unembedding.
        write_norms: whether what a sublayer writes is normed before it is added to the stream.
        norm_offset: what is added to the weight of a norm to give its gain.
        biases: whether projections and norms have biases.
        n_experts: experts of a feed-forward layer that has them, one of which computes a token; 0 where no layer does.
        expert_capacity: tokens of one text that an expert computes; those behind them get nothing from the layer.
        encoder_expert_layers: layers of the encoder with experts.
        decoder_expert_layers: the same of the decoder.
        max_positions: most tokens a side; None where positions are relative and nothing bounds them.
        source: what the encoder reads: tokens of a text, or frames of a sound.
        n_frames: source positions of every sound, silence behind its end included; None where sources are tokens.
        n_mels: bands of a sound's spectrogram.
        merged_attention: whether a decoder layer has one attention over target and source, shown as self- and cross-attention:
            their patterns add up to 1 together, and what both write passes one norm.
        head_norms: whether queries and keys of every head are normed behind their projections.
        scaled_queries: whether the host scales queries before they are seen, so that scores are the product of `hook_q` and
            `hook_k`.
    """

    model_type: str
    n_encoder_layers: int
    n_decoder_layers: int
    n_encoder_heads: int
    n_decoder_heads: int
    d_model: int
    d_encoder_head: int
    d_decoder_head: int
    d_encoder_mlp: int
    d_decoder_mlp: int
    d_vocab: int
    act_fn: str
    gated_mlp: bool
    eps: float
    norm: Literal["rms", "layer"]
    scaled_scores: bool
    logit_scale: float
    bias_per_layer: bool
    relative_attention_num_buckets: int
    relative_attention_max_distance: int
    decoder_start_token_id: int
    pad_token_id: int
    eos_token_id: int
    norm_place: NormPlace = "pre"
    positions: Positions = "relative"
    embed_scale: float = 1.0
    positions_last: bool = False
    n_encoder_kv_heads: int | None = None
    n_decoder_kv_heads: int | None = None
    score_divisor: int | float | None = None
    score_cap: int | float | None = None
    logit_cap: int | float | None = None
    write_norms: bool = False
    norm_offset: float = 0.0
    biases: bool = False
    n_experts: int = 0
    expert_capacity: int | None = None
    encoder_expert_layers: tuple[int, ...] = ()
    decoder_expert_layers: tuple[int, ...] = ()
    max_positions: int | None = None
    source: Source = "tokens"
    n_frames: int | None = None
    n_mels: int | None = None
    scaled_queries: bool = False
    merged_attention: bool = False
    head_norms: bool = False

    def n_layers(self, stack: "Stack") -> int:
        """Depth of one stack.

        Args:
            stack: which stack.
        """
        return self.n_encoder_layers if stack == "encoder" else self.n_decoder_layers

    def heads_of(self, kind: "AttentionKind") -> int:
        """Heads of a layer of one kind of attention; cross-attention has those of the decoder.

        Args:
            kind: which attention.
        """
        return self.n_encoder_heads if kind == "encoder" else self.n_decoder_heads

    def d_head_of(self, kind: "AttentionKind") -> int:
        """Width of a query, key or value of one kind of attention.

        Args:
            kind: which attention.
        """
        return self.d_encoder_head if kind == "encoder" else self.d_decoder_head

    def d_mlp_of(self, stack: "Stack") -> int:
        """Neurons of a feed-forward layer of one stack.

        Args:
            stack: which stack.
        """
        return self.d_encoder_mlp if stack == "encoder" else self.d_decoder_mlp

    def expert_layers(self, stack: "Stack") -> tuple[int, ...]:
        """Layers of one stack whose feed-forward part has experts.

        Args:
            stack: which stack.
        """
        return self.encoder_expert_layers if stack == "encoder" else self.decoder_expert_layers

    def layers_of(self, kind: "AttentionKind") -> int:
        """Layers that have one kind of attention.

        Args:
            kind: which attention.
        """
        return self.n_layers("encoder" if kind == "encoder" else "decoder")

    @property
    def reads_prefixes(self) -> bool:
        """Whether a model was made for task prefixes in its texts: T5's relatives were; BART and its relatives were not."""
        return self.positions == "relative"

    def check_own_keys(self, kind: "AttentionKind", part: str) -> None:
        """Refuse a head's keys or values where they are not that head's alone.

        Args:
            kind: which attention.
            part: `k`, `v`, or any other part of a head, all of which are its own.

        Raises:
            InputError: naming the attribute.
        """
        if part in ("k", "v") and self.kv_heads_of(kind) != self.heads_of(kind):
            raise InputError(
                f"Heads share their {part} in this model ({self.heads_of(kind)} heads, {self.kv_heads_of(kind)} of keys and "
                "values: n_encoder_kv_heads, n_decoder_kv_heads), so one head's cannot be replaced; take its q, pattern or z."
            )

    def attention_scale(self, kind: "AttentionKind") -> float:
        """Factor of the product of queries and keys as weights make them: 1 in T5, 1/sqrt(width of a head) in BART's family.

        Args:
            kind: which attention.
        """
        return float((self.score_divisor or self.d_head_of(kind)) ** -0.5) if self.scaled_scores else 1.0

    def query_factor(self, kind: "AttentionKind") -> float:
        """Factor of `hook_q` behind the projection of queries.

        Args:
            kind: which attention.
        """
        return self.attention_scale(kind) if self.scaled_queries else 1.0

    def hooked_scale(self, kind: "AttentionKind") -> float:
        """Factor between the product of `hook_q` and `hook_k` and the scores.

        Args:
            kind: which attention.
        """
        return 1.0 if self.scaled_queries else self.attention_scale(kind)

    def why_no_words(self) -> str | None:
        """Why nothing can be asked about words or token ids of a source, naming the attribute; None where sources have some."""
        return None if self.source == "tokens" else f"the sources are sounds without words (source={self.source!r})"

    def why_one_softmax(self) -> str | None:
        """Why nothing can be asked about rows of one attention by itself, naming the attribute; None where rows are its own."""
        if not self.merged_attention:
            return None
        return "rows of self-attention and cross-attention add up to 1 together and not each (merged_attention=True)"

    def check_tokens(self, what: str) -> None:
        """Refuse what needs tokens of a source text where sources have none.

        Args:
            what: needs them, as the beginning of a sentence.

        Raises:
            InputError: naming the attribute.
        """
        if (why := self.why_no_words()) is not None:
            raise InputError(f"{what} needs the tokens of a source text, and of this model {why}.")

    def kv_heads_of(self, kind: "AttentionKind") -> int:
        """Heads of keys and values of a layer of one kind of attention; as many as of queries in most families.

        Args:
            kind: which attention.
        """
        own = self.n_encoder_kv_heads if kind == "encoder" else self.n_decoder_kv_heads
        return self.heads_of(kind) if own is None else own

    @property
    def has_final_norm(self) -> bool:
        """Whether each stack ends with a norm of its own; post-norm stacks end with that of their last layer."""
        return self.norm_place == "pre"

    @property
    def adds_positions(self) -> bool:
        """Whether positions are added to the embedding; else they act on scores, as a bias or by rotation."""
        return self.positions in ("learned", "sinusoidal")

    @property
    def heads_add_to_stream(self) -> bool:
        """Whether what a head writes is added to the stream as it is, without a norm in between or behind."""
        return self.norm_place == "pre" and not self.write_norms

    @property
    def t5_shaped(self) -> bool:
        """Whether sublayers are modules that add to one plain stream, as in T5: relative positions, pre-norm, no biases.

        Experts count the tokens of a text, so their layers cannot be run for some of its rows.
        """
        return self.positions == "relative" and self.norm_place == "pre" and not self.biases and not self.n_experts

    @property
    def logits_are_linear(self) -> bool:
        """Whether logits, under one scale, are linear in the decoder's stream: RMS norms before sublayers, and no biases."""
        return self.norm == "rms" and self.norm_place == "pre" and not self.biases

    def describe_logit_path(self) -> str:
        """The attributes that say how what a head writes gets to the logits, as this model has them."""
        post = " and write_norms=True" if self.write_norms else ""
        return f"norm={self.norm!r}, norm_place={self.norm_place!r} and biases={self.biases}{post}"

    def describe_heads(self) -> str:
        """Number and width of the heads in words, of both stacks where they differ."""
        encoder = f"{self.n_encoder_heads} heads of {self.d_encoder_head}"
        decoder = f"{self.n_decoder_heads} heads of {self.d_decoder_head}"
        return encoder if encoder == decoder else f"{encoder} in the encoder and {decoder} in the decoder"

    def describe_mlp(self) -> str:
        """Width of the feed-forward layers in words, of both stacks where they differ."""
        encoder, decoder = self.d_encoder_mlp, self.d_decoder_mlp
        return (
            f"d_mlp {encoder}" if encoder == decoder else f"d_mlp {encoder} in the encoder and {decoder} in the decoder"
        )
