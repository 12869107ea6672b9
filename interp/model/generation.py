"""Generation: texts written token by token with the key-value cache on, by the host's own `generate`.

Greedy, beam search or sampling. Of the checkpoint's own settings only what it forces or forbids acts (`_FORCES`); everything else
is what `Decoding` says. Tokens that were not chosen are known as such: a forced first token (the start of a text in BART, the
target's language in mBART-50 and NLLB), the end of sentence that is forced where the length ends a text, and what the caller
began the text with.
(M2M100 numbers positions by the tokens that are not padding: there generation and a teacher-forced pass agree for texts without
the padding token.)
"""

import math
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal

from jaxtyping import Bool, Float
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.model.activation_cache import ActivationCache
from interp.report import notebook_html
from interp.text.batch import PROMPTS_SHOWN, Batch
from interp.text.pieces import pieces_of
from interp.text.tokenized_text import Text

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["greedy", "beam", "sampling"]

_FORCES = ("forced_bos_token_id", "forced_eos_token_id", "bad_words_ids", "suppress_tokens", "begin_suppress_tokens")
"""What of a checkpoint's own settings acts: what it forces or forbids, as trained."""

_OF_METHOD: dict[str, Method] = {
    "beams": "beam",
    "length_penalty": "beam",
    "temperature": "sampling",
    "top_k": "sampling",
    "top_p": "sampling",
    "seed": "sampling",
}
"""Choices that one method alone reads."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How tokens are chosen.

    Attributes:
        method: `greedy` takes the likeliest token, `beam` searches, `sampling` draws.
        beams: hypotheses kept by beam search.
        length_penalty: exponent of the length that a hypothesis' log-probability is divided by.
        repetition_penalty: divides the logits above zero of tokens that the target holds, and multiplies those below
            (Keskar et al. 2019); 1 is none.
        no_repeat_ngram: runs of this many tokens occur once in a target; 0 is no such rule.
        temperature: divides the logits before drawing.
        top_k: draws from this many likeliest tokens; 0 is no limit.
        top_p: draws from the smallest set of tokens with this much probability.
        seed: of the draws; the global random state is left as it was.
        first_token: written first, whatever the model thinks: the target's language in mBART and NLLB; None leaves it to the
            checkpoint's own `forced_bos_token_id`, if it has one.
    """

    method: Method = "greedy"
    beams: int = 4
    length_penalty: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    first_token: int | None = None

    def __post_init__(self) -> None:
        if self.method not in ("greedy", "beam", "sampling"):
            raise InputError(f"A method is 'greedy', 'beam' or 'sampling'; got {self.method!r}.")
        for choice in fields(self):
            method, value = _OF_METHOD.get(choice.name, self.method), getattr(self, choice.name)
            kind = Real if isinstance(choice.default, float) else Integral
            if isinstance(choice.default, int | float) and (isinstance(value, bool) or not isinstance(value, kind)):
                what = "number" if kind is Real else "whole number"
                raise InputError(f"{choice.name} of a `Decoding` is a {what}; got {value!r}.")
            if method != self.method and value != choice.default:
                raise InputError(
                    f"{choice.name}={value} is read by the method {method!r} alone and would be ignored with {self.method!r}; "
                    "leave it out, or choose that method."
                )
        if self.beams < 2 and self.method == "beam":
            raise InputError(f"Beam search needs at least 2 beams; got {self.beams}. Use `greedy` for one.")
        if (
            not 0 < self.repetition_penalty < math.inf
            or self.no_repeat_ngram < 0
            or not math.isfinite(self.length_penalty)
        ):
            raise InputError(
                "A repetition penalty is above 0 and finite (1 is none), repeated runs have 0 tokens (no rule) or more, and a "
                f"length penalty is finite; got {self.repetition_penalty}, {self.no_repeat_ngram} and {self.length_penalty}."
            )
        if not 0 < self.temperature < math.inf or not 0 < self.top_p <= 1 or self.top_k < 0:
            raise InputError(
                f"Sampling needs temperature > 0 and finite, 0 < top_p <= 1 and top_k >= 0; got {self.temperature}, "
                f"{self.top_p} and {self.top_k}."
            )
        if not 0 <= self.seed < 2**32:
            raise InputError(f"A seed is from 0 to {2**32 - 1}; got {self.seed}.")

    def host_settings(self, hf: PreTrainedModel, config: ModelConfig, max_new_tokens: int) -> GenerationConfig:
        """The host's settings, complete: nothing of a checkpoint's own file acts but what it forces or forbids.

        Args:
            hf: the host model.
            config: its facts.
            max_new_tokens: most tokens to write.
        """
        own = {name: getattr(hf.generation_config, name, None) for name in _FORCES}
        chosen: dict[str, Any] = {"num_beams": 1, "do_sample": False}
        if self.method == "beam":
            chosen |= {"num_beams": self.beams, "length_penalty": self.length_penalty, "early_stopping": True}
            chosen["num_return_sequences"] = self.beams
        elif self.method == "sampling":
            chosen |= {"do_sample": True, "temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k}
        if self.repetition_penalty != 1:
            chosen["repetition_penalty"] = self.repetition_penalty
        if self.no_repeat_ngram:
            chosen["no_repeat_ngram_size"] = self.no_repeat_ngram
        if self.first_token is not None:
            own["forced_bos_token_id"] = self.first_token
        return GenerationConfig(
            max_new_tokens=max_new_tokens,
            use_cache=True,
            pad_token_id=config.pad_token_id,
            eos_token_id=config.eos_token_id,
            decoder_start_token_id=config.decoder_start_token_id,
            return_dict_in_generate=True,
            output_logits=True,
            output_scores=self.method == "beam",  # the host records surviving rows only along with scores
            **{name: value for name, value in own.items() if value is not None},
            **chosen,
        )


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One text that beam search kept; `score` is its summed log-probability over its length to the length penalty."""

    text: Text
    score: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Generation:
    """Generated texts and how they came about.

    Attributes:
        batch: sources with the generated texts as targets; row t is step t.
        logits: what the model gave at every step, before temperature and the like; zero after a text's end and where the caller
            began it.
        cache: activations of every step, laid out as by `run_with_cache` on `batch`.
        decoding: how tokens were chosen.
        hypotheses: of every prompt all texts that beam search kept, best first; empty for other methods.
        begun: how many tokens the caller began every target with; the first steps, which have no logits.
    """

    batch: Batch
    logits: Float[Tensor, "batch target vocab"]
    cache: ActivationCache
    decoding: Decoding
    hypotheses: tuple[tuple[Hypothesis, ...], ...] = ()
    begun: int = 0

    @property
    def forced(self) -> Bool[Tensor, "batch target"]:
        """True at tokens that were no choice of the model: forced first and last tokens, and what the text was begun with."""
        return self.batch.forced_mask

    @property
    def texts(self) -> tuple[str, ...]:
        """The generated texts."""
        return tuple(text.text for text in self.batch.target_texts)

    def _repr_html_(self) -> str:
        rows: list[tuple[str, str]] = []
        for prompt, text in enumerate(self.batch.target_texts[:PROMPTS_SHOWN]):
            notes = [
                "begun with" if math.isnan(probability) else f"probability {probability:.3f}"
                for probability in self._probabilities(prompt)
            ]
            rows += [
                ("read", notebook_html.tokens(self.batch.source_texts[prompt].pieces)),
                ("wrote", notebook_html.tokens(text.pieces, notes)),
            ]
        left_out = len(self.batch) - PROMPTS_SHOWN
        rows += [("and", f"{left_out} more")] if left_out > 0 else []
        return notebook_html.lines(rows)

    def __repr__(self) -> str:
        return f"Generation({', '.join(map(repr, self.texts))})"

    def _probabilities(self, prompt: int) -> list[float]:
        """The probability of every token of a text; NaN where the caller began it."""
        ids = list(self.batch.target_texts[prompt].ids)
        given = self.logits[prompt, : len(ids)].double().softmax(-1)[range(len(ids)), ids].tolist()
        return [math.nan] * self.begun + given[self.begun :]

    def to_frame(self) -> "pd.DataFrame":
        """One row a prompt and step: the token that was written and its probability, NaN where the caller began the text."""
        import pandas as pd

        rows = []
        for prompt, text in enumerate(self.batch.target_texts):
            written = zip(text.pieces, self._probabilities(prompt), strict=True)
            rows += [(prompt, step, *pair) for step, pair in enumerate(written)]
        return pd.DataFrame(rows, columns=["prompt", "step", "token", "probability"])

    def step_table(
        self, tokenizer: PreTrainedTokenizerBase, top: int = 5, truth: Batch | None = None
    ) -> "pd.DataFrame":
        """The alternatives at every step: one row per prompt, step and candidate.

        Args:
            tokenizer: names the candidates.
            top: likeliest candidates a step; the chosen token is listed too where it is not among them.
            truth: the same prompts with true targets; their token at the same step is listed too, as long as the texts agree
                up to there (afterwards the two are conditioned on different prefixes and cannot be compared).

        Returns:
            Columns prompt, step, rank (1 is the likeliest), token_id, token, probability, chosen, true.
        """
        import pandas as pd

        rows: list[dict[str, object]] = []
        for prompt, length in enumerate(self.batch.target_mask.sum(1).tolist()):
            own = self.batch.labels[prompt].tolist()
            true = [] if truth is None else truth.labels[prompt].tolist()
            for step in range(self.begun, length):
                comparable = step < len(true) and true[step] >= 0 and own[:step] == true[:step]
                answer = true[step] if comparable else None
                probabilities = self.logits[prompt, step].double().softmax(-1)
                order = probabilities.argsort(descending=True)
                listed = dict.fromkeys([*order[:top].tolist(), own[step], *([] if answer is None else [answer])])
                rows += [
                    {
                        "prompt": prompt,
                        "step": step,
                        "rank": int((order == token).nonzero()) + 1,
                        "token_id": token,
                        "token": pieces_of(tokenizer, [token])[0],
                        "probability": float(probabilities[token]),
                        "chosen": token == own[step],
                        "true": token == answer,
                    }
                    for token in listed
                ]
        return pd.DataFrame(rows)
