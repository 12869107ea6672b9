"""What is trained and how: every number of the recipe in one place.

The defaults are those of the bundled model's first training; what T5 used (Raffel et al. 2020, JMLR 21:140) is `optimizer`
adafactor, `schedule` rsqrt, `peak_rate` 0.01, `warmup_steps` 10000, `label_smoothing` 0 and `clip` 0.
"""

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from transformers import T5Config

from interp.errors import InputError

SENTINELS = 100
LISTED_WORDS = "translate English German French chair table plate knife spoon horse goat sheep cat dog".split()
_SHARES = (
    "dropout label_smoothing input_noise reverse_share spans infills labels joined joined_spans lower_prefixes upper_prefixes "
    "lost_marks lower_sentences slips copies counts"
).split()


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of one training run.

    Attributes:
        d_model: Width of the residual stream.
        d_kv: Width of one attention head.
        d_ff: Width of the feed-forward layers.
        layers: Blocks in the encoder, and as many in the decoder.
        heads: Attention heads in every attention layer.
        feed_forward: Kind of feed-forward layer, `relu` or as in version 1.1 `gated-gelu`.
        tied: Whether the output layer shares the embedding; version 1.1 does not.
        vocabulary: Rows of the embedding, the 100 sentinels included.
        unigram_pieces: Pieces that the unigram trainer fits; frequent words that it left split fill the rest.
        tokens_per_batch: Padded source plus target tokens of one batch at most.
        accumulation: Batches whose gradients make one optimizer step.
        optimizer: `adamw` or `adafactor`; see `optimizer.py`.
        schedule: `cosine`: a rise from zero over `warmup_steps`, then half a cosine to zero over the budget. `rsqrt`, T5's:
            flat for `warmup_steps`, then falling with the root of the steps; so flat to the end where the budget is smaller.
        peak_rate: Largest step size, as a share of each parameter's root mean square (at initialization for AdamW).
        warmup_steps: Steps of the rise, or of the flat beginning.
        betas: AdamW's averaging factors.
        weight_decay: Decoupled decay.
        clip: Largest norm of the gradient of all parameters; 0 for any.
        precision: Type of matrix products: `float32`, `bfloat16`, or `auto`, bfloat16 on accelerators that have it. Weights,
            optimizer and loss are float32 always.
        gradient_checkpointing: Whether a layer's inner activations are computed again in the backward pass, to save memory.
        dropout: Share of entries dropped in embeddings, feed-forward layers and sublayer outputs (not in attention weights).
        label_smoothing: Share of the target mass spread evenly over the vocabulary.
        input_noise: Share of sources whose first letter is made lower case, and share that lose their final stop.
        repeats: How often a pair of (corpus, language) is seen in an epoch; once where not named.
        reverse: Whether German→English and French→English are tasks too.
        reverse_share: Share of the pairs that are asked in that direction too.
        spans: Share of pairs that add a span-corruption example without prefix (English, German or French text).
        roll_spans: Whether hidden spans may stand anywhere; else the last token is always hidden, as in T5's released code.
        infills: Share of pairs that add an example of one hidden word.
        labels: Share of pairs that add an example "language: " and a text, whose target is the language's name.
        joined: Share of translations that are of two sentences.
        joined_spans: Share of span corruptions that are of two or three sentences, so that several spans are hidden.
        lower_prefixes: Share of task prefixes in lower case.
        upper_prefixes: Share of task prefixes in upper case.
        lost_marks: Share of sources that lose their closing mark.
        lower_sentences: Share of sources in lower case.
        slips: Share of sources with one letter left out, doubled, or changed places with the next.
        copies: Share of names and numbers shared by a pair's sides that give way to others.
        counts: Share of pairs whose number word (two to ten) gives way to digits.
        shuffled: Whether targets change places among the training pairs of one corpus and language, as a control with nothing
            to align.
        bias_scale: Step scale of the position-bias tables, in nats, because they are added to logits; 0 for their root mean
            square at initialization as for other parameters, which is d_model^-1/2 and keeps them within 2 nats.
        seed: Seeds initialization, batch order, dropout and noise.
    """

    d_model: int = 192
    d_kv: int = 32
    d_ff: int = 768
    layers: int = 4
    heads: int = 6
    feed_forward: Literal["relu", "gated-gelu"] = "relu"
    tied: bool = True
    vocabulary: int = 8000
    unigram_pieces: int = 5900
    tokens_per_batch: int = 4096
    accumulation: int = 1
    optimizer: Literal["adamw", "adafactor"] = "adamw"
    schedule: Literal["cosine", "rsqrt"] = "cosine"
    peak_rate: float = 2e-2
    warmup_steps: int = 250
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0
    clip: float = 1.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    gradient_checkpointing: bool = False
    dropout: float = 0.1
    label_smoothing: float = 0.1
    input_noise: float = 0.03
    repeats: tuple[tuple[str, str, int], ...] = (("tatoeba", "fr", 2),)
    reverse: bool = False
    reverse_share: float = 1.0
    spans: float = 0.0
    roll_spans: bool = True
    infills: float = 0.0
    labels: float = 0.0
    joined: float = 0.0
    joined_spans: float = 0.0
    lower_prefixes: float = 0.0
    upper_prefixes: float = 0.0
    lost_marks: float = 0.0
    lower_sentences: float = 0.0
    slips: float = 0.0
    copies: float = 0.0
    counts: float = 0.0
    shuffled: bool = False
    bias_scale: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            choices = get_args(kind)
            if getattr(kind, "__origin__", None) is Literal and getattr(self, name) not in choices:
                raise InputError(
                    f"The recipe's {name} is one of {', '.join(choices)}, got {getattr(self, name)!r}. Choose one."
                )
        for name in _SHARES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"The recipe's {name} is a share, from 0 to 1, got {getattr(self, name)}. Mend it.")
        for name in ("accumulation", "warmup_steps", "tokens_per_batch"):
            if getattr(self, name) < 1:
                raise InputError(f"The recipe's {name} is at least 1, got {getattr(self, name)}. Raise it.")

    def config(self) -> T5Config:
        """The transformers configuration of the recipe's model."""
        return T5Config(
            vocab_size=self.vocabulary,
            d_model=self.d_model,
            d_kv=self.d_kv,
            d_ff=self.d_ff,
            num_layers=self.layers,
            num_decoder_layers=self.layers,
            num_heads=self.heads,
            dropout_rate=self.dropout,
            feed_forward_proj=self.feed_forward,
            tie_word_embeddings=self.tied,
            decoder_start_token_id=0,
            pad_token_id=0,
            eos_token_id=1,
        )

    def parameters(self) -> int:
        """Trainable numbers of the model: embedding, output layer, attention, feed-forward, norms and two bias tables."""
        attention = 4 * self.d_model * self.heads * self.d_kv
        feed_forward = (3 if self.feed_forward.startswith("gated-") else 2) * self.d_model * self.d_ff
        encoder = self.layers * (attention + feed_forward + 2 * self.d_model)
        decoder = self.layers * (2 * attention + feed_forward + 3 * self.d_model)
        embedding = (1 if self.tied else 2) * self.vocabulary * self.d_model
        return embedding + encoder + decoder + 2 * self.d_model + 2 * 32 * self.heads

    def rate(self, step: int, progress: float) -> float:
        """Step size factor of the recipe's schedule.

        Args:
            step: Steps taken before this one.
            progress: Share of the budget spent, 0 to 1.
        """
        if self.schedule == "rsqrt":
            return self.peak_rate * math.sqrt(self.warmup_steps / max(self.warmup_steps, step + 1))
        warm = min(1.0, (step + 1) / self.warmup_steps)
        return self.peak_rate * warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, max(0.0, progress))))

    @classmethod
    def of(cls, settings: Sequence[str]) -> "Recipe":
        """The default recipe with fields set by texts such as `peak_rate=0.01`; values are JSON.

        Raises:
            InputError: if a text is not `field=JSON`, or the field is unknown or has another type.
        """
        defaults = dataclasses.asdict(cls())
        values: dict[str, Any] = {}
        for setting in settings:
            name, _, text = setting.partition("=")
            try:
                values[name] = json.loads(text)
            except json.JSONDecodeError as error:
                raise InputError(
                    f"{setting!r} is not FIELD=VALUE, the value in JSON. Write for example peak_rate=0.01."
                ) from error
            if name not in defaults:
                raise InputError(f"The recipe has no field {name!r}. Its fields are {', '.join(defaults)}.")
            if isinstance(defaults[name], tuple):
                values[name] = _tuples(values[name])
            elif isinstance(defaults[name], float) and type(values[name]) is int:
                values[name] = float(values[name])
            if type(values[name]) is not type(defaults[name]):
                raise InputError(
                    f"The recipe's {name} is of type {type(defaults[name]).__name__}, got {text}. Write for example "
                    f"{name}={json.dumps(defaults[name])}."
                )
        return cls(**values)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
