"""Generation: texts written token by token with the key-value cache on, and the activations of every step.

The host's own `generate` runs (greedy, beam search or sampling); hooks keep what every step computed, and the steps are put
together into the tensors that one teacher-forced pass over the same tokens would have given:

    decoder points      one row a step, on the position (or query) axis: the step axis is the generated token
    self-attention      keys grow by one a step; scores of keys that did not exist yet are the most negative number, pattern 0
    encoder points, keys and values of cross-attention      computed once

In beam search the row a token came from changes from step to step; rows are followed back along the surviving hypothesis.
(M2M100 numbers positions by the tokens that are not padding: there the two agree for texts without the padding token.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.hooks.hook_point import HookFunction, HookPoint
from interp.model.activation_cache import ActivationCache
from interp.report import notebook_html
from interp.text.batch import PROMPTS_SHOWN, Batch

Method = Literal["greedy", "beam", "sampling"]


@dataclass(frozen=True, slots=True)
class Decoding:
    """How tokens are chosen.

    Attributes:
        method: `greedy` takes the likeliest token, `beam` searches, `sampling` draws.
        beams: hypotheses kept by beam search.
        length_penalty: exponent of the length that a hypothesis' log-probability is divided by.
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
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    first_token: int | None = None

    def __post_init__(self) -> None:
        if self.beams < 2 and self.method == "beam":
            raise InputError(f"Beam search needs at least 2 beams; got {self.beams}. Use `greedy` for one.")
        if self.temperature <= 0 or not 0 < self.top_p <= 1 or self.top_k < 0:
            raise InputError(
                f"Sampling needs temperature > 0, 0 < top_p <= 1 and top_k >= 0; got {self.temperature}, {self.top_p} and "
                f"{self.top_k}."
            )

    def host_settings(self, config: ModelConfig, max_new_tokens: int) -> GenerationConfig:
        """The host's settings; what a checkpoint's own file forces or forbids (a first token, padding) is left to it.

        Args:
            config: the model's facts.
            max_new_tokens: most tokens to write.
        """
        chosen: dict[str, Any] = {"num_beams": 1, "do_sample": False}
        if self.method == "beam":
            chosen |= {"num_beams": self.beams, "length_penalty": self.length_penalty, "early_stopping": True}
        elif self.method == "sampling":
            chosen |= {"do_sample": True, "temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k}
        if self.first_token is not None:
            chosen["forced_bos_token_id"] = self.first_token
        return GenerationConfig(
            max_new_tokens=max_new_tokens,
            use_cache=True,
            pad_token_id=config.pad_token_id,
            eos_token_id=config.eos_token_id,
            decoder_start_token_id=config.decoder_start_token_id,
            no_repeat_ngram_size=0,
            repetition_penalty=1.0,
            min_length=0,
            return_dict_in_generate=True,
            output_logits=True,
            output_scores=self.method == "beam",  # the host records surviving rows only along with scores
            **chosen,
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Generation:
    """Generated texts and how they came about.

    Attributes:
        batch: sources with the generated texts as targets; row t is step t.
        logits: what the model gave at every step, before temperature and the like; zero after a text's end.
        cache: activations of every step, laid out as by `run_with_cache` on `batch`.
        decoding: how tokens were chosen.
    """

    batch: Batch
    logits: Float[Tensor, "batch target vocab"]
    cache: ActivationCache
    decoding: Decoding

    @property
    def texts(self) -> tuple[str, ...]:
        """The generated texts."""
        return tuple(text.text for text in self.batch.target_texts)

    def _repr_html_(self) -> str:
        rows: list[tuple[str, str]] = []
        for prompt, text in enumerate(self.batch.target_texts[:PROMPTS_SHOWN]):
            chosen = self.logits[prompt, : len(text.ids)].double().softmax(-1)[range(len(text.ids)), list(text.ids)]
            notes = [f"probability {probability:.3f}" for probability in chosen.tolist()]
            rows += [
                ("read", notebook_html.tokens(self.batch.source_texts[prompt].pieces)),
                ("wrote", notebook_html.tokens(text.pieces, notes)),
            ]
        left_out = len(self.batch) - PROMPTS_SHOWN
        rows += [("and", f"{left_out} more")] if left_out > 0 else []
        return notebook_html.lines(rows)

    def __repr__(self) -> str:
        return f"Generation({', '.join(map(repr, self.texts))})"

    def to_frame(self) -> pd.DataFrame:
        """One row a prompt and step: the token that was written and its probability."""
        rows = []
        for prompt, text in enumerate(self.batch.target_texts):
            given = self.logits[prompt, : len(text.ids)].double().softmax(-1)
            chosen = given[range(len(text.ids)), list(text.ids)].tolist()
            rows += [(prompt, step, *pair) for step, pair in enumerate(zip(text.pieces, chosen, strict=True))]
        return pd.DataFrame(rows, columns=["prompt", "step", "token", "probability"])

    def step_table(self, tokenizer: PreTrainedTokenizerBase, top: int = 5, truth: Batch | None = None) -> pd.DataFrame:
        """The alternatives at every step: one row per prompt, step and candidate.

        Args:
            tokenizer: names the candidates.
            top: likeliest candidates a step; the chosen token is listed too where it is not among them.
            truth: the same prompts with true targets; their token at the same step is listed too, as long as the texts agree
                up to there (afterwards the two are conditioned on different prefixes and cannot be compared).

        Returns:
            Columns prompt, step, rank (1 is the likeliest), token_id, token, probability, chosen, true.
        """
        rows: list[dict[str, object]] = []
        for prompt, length in enumerate(self.batch.target_mask.sum(1).tolist()):
            own = self.batch.labels[prompt].tolist()
            true = [] if truth is None else truth.labels[prompt].tolist()
            for step in range(length):
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
                        "token": tokenizer.convert_ids_to_tokens(token),
                        "probability": float(probabilities[token]),
                        "chosen": token == own[step],
                        "true": token == answer,
                    }
                    for token in listed
                ]
        return pd.DataFrame(rows)


class StepRecorder:
    """Keeps what hook points show while the host generates, one list of tensors a point."""

    def __init__(self, points: Mapping[str, HookPoint]) -> None:
        self.points = points
        self._seen: dict[str, list[Tensor]] = {name: [] for name in points}

    def functions(self) -> list[tuple[HookPoint, HookFunction]]:
        """What to attach."""

        def keep(tensor: Tensor, hook: HookPoint) -> None:
            # Keys and values of cross-attention are the same tensors at every step, and the host's cache may grow in place.
            if not (self._seen[hook.name] and _once(hook.name)):
                self._seen[hook.name].append(tensor if _once(hook.name) else _newest(tensor, hook))

        return [(point, keep) for point in self.points.values()]

    def assemble(self, rows: Int[Tensor, "batch step"], rows_per_prompt: int) -> dict[str, Tensor]:
        """Hook name -> the tensor of a teacher-forced pass.

        Args:
            rows: the row that every prompt's token of every step came from, -1 after its end.
            rows_per_prompt: rows the host made of every prompt (beams).
        """
        return {name: self._whole(name, rows, rows_per_prompt) for name in self.points}

    def _whole(self, name: str, rows: Tensor, rows_per_prompt: int) -> Tensor:
        seen = self._seen[name]
        if _once(name):
            prompts = rows.shape[0]
            return seen[0] if seen[0].shape[0] in (1, prompts) else seen[0][::rows_per_prompt]
        axes, steps = self.points[name].axes, seen[: rows.shape[1]]
        if axes[-1] == "key":
            steps = [_pad_keys(name, step, len(steps)) for step in steps]
        if axes[0] == "one" or (name.endswith("hook_pos_embed") and steps[0].shape[0] == 1):
            return torch.cat(steps, -2)
        picked = [step[rows[:, index].clamp_min(0)] for index, step in enumerate(steps)]
        whole = torch.cat(picked, axes.index("query" if axes[-1] == "key" else "pos"))
        ended = (rows < 0).view(rows.shape[0], *([1, -1, 1] if axes[-1] == "key" else [-1] + [1] * (whole.ndim - 2)))
        return whole.masked_fill(ended, 0.0)


def _once(name: str) -> bool:
    """Whether a point has one value for the whole generation."""
    return name.startswith("encoder") or name.endswith(("cross_attn.hook_k", "cross_attn.hook_v"))


def _newest(tensor: Tensor, hook: HookPoint) -> Tensor:
    """Of keys and values, which the host hands over from the beginning, only this step's."""
    return tensor[:, -1:] if hook.name.endswith((".attn.hook_k", ".attn.hook_v")) else tensor


def _pad_keys(name: str, step: Tensor, width: int) -> Tensor:
    """A step's scores, pattern or bias with the keys that did not exist yet."""
    missing = width - step.shape[-1]
    if missing > 0 and name.endswith("position_bias"):
        # All keys ahead share the bucket of distance 0, which is that of the newest key.
        return torch.cat([step, step[..., -1:].expand(*step.shape[:-1], missing)], -1)
    fill = torch.finfo(step.dtype).min if name.endswith("attn_scores") else 0.0
    return torch.nn.functional.pad(step, (0, missing), value=fill) if missing > 0 else step


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """What the host wrote, ends of sentence included; `rows`: where each token came from, -1 (and logits 0) after its end."""

    tokens: list[list[int]]
    rows: Int[Tensor, "batch step"]
    logits: Float[Tensor, "batch step vocab"]
    unfinished: tuple[int, ...]


def write(hf: PreTrainedModel, config: ModelConfig, sources: Batch, decoding: Decoding, max_new_tokens: int) -> Written:
    """What the host's `generate` writes to the sources of a batch; the global random state is left as it was.

    Args:
        hf: the host model.
        config: its facts.
        sources: the batch.
        decoding: how tokens are chosen.
        max_new_tokens: most tokens to write.
    """
    with torch.no_grad(), torch.random.fork_rng(enabled=decoding.method == "sampling"):
        if decoding.method == "sampling":
            torch.manual_seed(decoding.seed)
        output = hf.generate(
            input_ids=sources.input_ids,
            attention_mask=sources.attention_mask,
            # Made here because the host would give its own as many layers as the encoder has.
            past_key_values=EncoderDecoderCache(DynamicCache(), DynamicCache()),
            generation_config=decoding.host_settings(config, max_new_tokens),
        )
    eos = config.eos_token_id
    tokens = [row[: row.index(eos) + 1] if eos in row else row for row in output.sequences[:, 1:].tolist()]
    rows = torch.full((len(tokens), max(map(len, tokens))), -1, device=hf.device)
    for prompt, ids in enumerate(tokens):
        rows[prompt, : len(ids)] = output.beam_indices[prompt, : len(ids)] if decoding.method == "beam" else prompt
    steps = [step[rows[:, index].clamp_min(0)] for index, step in enumerate(output.logits[: rows.shape[1]])]
    logits = torch.stack(steps, 1).masked_fill((rows < 0).unsqueeze(-1), 0.0)
    unfinished = tuple(prompt for prompt, ids in enumerate(tokens) if ids[-1] != eos)
    return Written(tokens, rows, logits, unfinished)
