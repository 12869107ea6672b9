"""What one forward pass tells of one sentence: all that the page to explore shows of it, and the step that is explained."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from analyses.core.exploring import explorer_hooks, explorer_of, explorer_prompt
from analyses.core.observing import run_alone
from analyses.cross_attention_focus.alignment.texts import words_of_tokens
from analyses.logit_attribution.asked_row import prompt_of, row_and_foil
from analyses.sentence.words import in_words
from interp.attribution.logit_readout import label_tokens, runner_up
from interp.audio import GivenSound, spans_of
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report.explorer import Explorer, ExplorerPrompt
from interp.text.batch import TargetOrigin
from interp.text.unknown_pieces import check_known


@dataclass(frozen=True, slots=True, eq=False)
class SentenceReading:
    """One sentence and what the model did with it.

    Attributes:
        explorer: what its page shows: the sentence alone.
        target: the target text.
        target_origin: `given` or `generated`.
        row: the decoder row that is explained.
        probabilities: of the token of every row.
    """

    explorer: Explorer
    target: str
    target_origin: TargetOrigin
    row: int
    probabilities: Float[np.ndarray, " target"]

    @property
    def prompt(self) -> ExplorerPrompt:
        """The sentence itself."""
        return self.explorer.prompts[0]

    @property
    def address(self) -> str:
        """The state that its page opens with: the row, and of the cross-attention heads the one that adds most to its token."""
        return self.explorer.start


def read_sentence(
    model: HookedEncoderDecoder,
    source: str,
    target: str | None = None,
    foil: str | None = None,
    row: int | None = None,
    words: Sequence[str] | None = None,
    name: str = "the model",
    prefix: str | None = None,
    audio: GivenSound | None = None,
) -> SentenceReading:
    """One sentence, read and explained.

    Args:
        model: the model, with a tokenizer.
        source: the source text with its task prefix; empty for a sound.
        target: the target text; generated if missing.
        foil: what the chosen row's token is compared with: without a row another target text, with one a text of one piece; by
            default the model's best other token, as in all other rows.
        row: the decoder row that is explained; by default the first that differs from the foil, or the first.
        words: the words of the source behind its prefix, in which it is to be shown; tokens by default.
        name: what the model is called.
        prefix: the task prefix, where it is not one T5 was trained with.
        audio: in place of the source, in models that read sounds; frames are shown in groups (`interp.audio.spans_of`).

    Raises:
        InputError: if the row is not in the target, the foil does not differ from it, the words do not spell the source, or the
            tokenizer knows less than half of the texts.
    """
    batch = prompt_of(model, source, target, prefix, audio)
    check_known([*batch.source_texts, *([] if target is None else batch.target_texts)], model.tokenizer)
    words_of = None
    if model.sounds is not None:
        spans = spans_of(batch.source_texts[0].category_of_token, model.sounds.seconds)
        words = [one.label for one in spans]
        words_of = tuple(place for place, one in enumerate(spans) for _ in range(one.start, one.stop))
    elif words is not None:
        words_of = _words_of_tokens(model, source, words, batch.source_texts[0].prefix)
    chosen, foil_token = row_and_foil(model, source, batch, foil, row, audio)
    run = run_alone(model, batch, 0, more_hooks=explorer_hooks(model.cfg))
    labels = label_tokens(run.batch)
    foils = runner_up(model, run.logits, labels)
    if foil_token is not None:
        foils[0, chosen] = foil_token
    prompt = explorer_prompt(run, "1", foils)
    if words is not None and words_of is not None:
        prompt = in_words(prompt, words_of, words)
    scores = run.logits[0].float().log_softmax(-1).gather(1, labels[0, :, None])[:, 0]
    return SentenceReading(
        explorer=replace(explorer_of(model, name, [prompt]), start=_start(prompt, chosen)),
        target=batch.target_texts[0].text,
        target_origin=batch.target_origin,
        row=chosen,
        probabilities=torch.exp(scores).cpu().numpy(),
    )


def _start(prompt: ExplorerPrompt, row: int) -> str:
    added = prompt.sources[:, :, row].sum(-1)
    layer, head = np.unravel_index(int(np.abs(added).argmax()), added.shape)
    return f"#XL{layer}H{head}&prompt=1&row={row}"


def _words_of_tokens(model: HookedEncoderDecoder, source: str, words: Sequence[str], prefix: str) -> tuple[int, ...]:
    assert model.tokenizer is not None
    if not words:
        raise InputError("The list of words is empty; give all words of the source behind its prefix.")
    with model.languages.spoken(model.tokenizer):
        return words_of_tokens(source, words, model.tokenizer, prefix)
