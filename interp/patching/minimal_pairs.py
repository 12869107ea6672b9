"""Minimal pairs: two sources that differ in one respect and thereby in their answer (Zhang and Nanda 2024).

A clean and a corrupted source have equally many tokens, so that every position of one has its counterpart in the other. Both are
decoded after the same prefix, the tokens that their targets share; the answer is the first token of the clean target that the
corrupted target does not share, the foil is the corrupted target's token there. A pair may also corrupt what the decoder has
written: it then says at which token it answers, and each side is decoded after its own prefix. What is measured is one number a
side: the logit of the answer less that of the foil, at the row after the prefix. A pair is of use for a model only if that
number changes its sign, which depends on the model: `verify_pairs` looks, and says which pairs are left out and why.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.attribution.logit_readout import logit_difference, logit_difference_of_outputs
from interp.axes import TokenIds
from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.partial_forward import record_pass
from interp.patching.prompt_pair import PromptPair as PromptPair
from interp.text.batch import Batch, collate
from interp.text.tokenized_text import Text, tokenize
from interp.text.words import task_prefix


@dataclass(frozen=True, slots=True, eq=False)
class PairBatch:
    """Minimal pairs as two batches, with the same decoder inputs unless a pair says its row.

    Attributes:
        pairs: the texts.
        clean: the clean sources.
        corrupted: the corrupted ones.
        rows: the decoder row that predicts the answer.
        answers: the clean answers.
        foils: the corrupted answers.
    """

    pairs: tuple[PromptPair, ...]
    clean: Batch
    corrupted: Batch
    rows: Int[Tensor, " batch"]
    answers: Int[Tensor, " batch"]
    foils: Int[Tensor, " batch"]

    def __len__(self) -> int:
        return len(self.pairs)

    def difference(
        self, model: HookedEncoderDecoder, outputs: Float[Tensor, "*copies batch row d_model"]
    ) -> Float[Tensor, "*copies batch"]:
        """Answer less foil of every pair, once for every copy of the pairs.

        Args:
            model: the model.
            outputs: of the decoder, at the answers' rows.
        """
        answers, foils = self.answers.unsqueeze(1), self.foils.unsqueeze(1)
        return logit_difference_of_outputs(model, outputs, answers, foils).squeeze(-1)

    def difference_of_logits(
        self, model: HookedEncoderDecoder, logits: Float[Tensor, "batch target vocab"]
    ) -> Float[Tensor, " batch"]:
        """Answer less foil of every pair, from the logits of all rows.

        Args:
            model: the model.
            logits: of one forward pass.
        """
        at_row = logits[torch.arange(len(self), device=logits.device), self.rows].unsqueeze(1)
        return logit_difference(model, at_row, self.answers.unsqueeze(1), self.foils.unsqueeze(1)).values.squeeze(1)


@dataclass(frozen=True, slots=True)
class Verified:
    """Pairs, sorted by whether they flip a model's answer.

    Attributes:
        flipping: pairs whose answer wins on the clean source and whose foil wins on the corrupted one.
        refused: pair -> why not, as a sentence.
    """

    flipping: tuple[PromptPair, ...]
    refused: Mapping[PromptPair, str]

    def counts(self) -> dict[str, tuple[int, int]]:
        """Kind -> how many flip, and how many there are."""
        kinds = dict.fromkeys(pair.kind for pair in (*self.flipping, *self.refused))
        flipping = Counter(pair.kind for pair in self.flipping)
        return {kind: (flipping[kind], flipping[kind] + sum(p.kind == kind for p in self.refused)) for kind in kinds}


LEAST_MARGIN = 0.5
"""Logits by which an answer must win."""


def bundled_pairs() -> tuple[PromptPair, ...]:
    """The minimal pairs of the package, our own sentences; `verify_pairs` tells which of them flip a model's answer."""
    lines = resources.files("interp.prompts").joinpath("pairs.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(PromptPair(**json.loads(line)) for line in lines)


def candidate_pairs(cfg: ModelConfig) -> tuple[PromptPair, ...]:
    """The bundled pairs as a model reads them.

    Models that were made for no task prefixes get the texts without, and not the pairs that differ in nothing else.

    Args:
        cfg: the model's facts.
    """
    if cfg.reads_prefixes:
        return bundled_pairs()
    bare = [replace(pair, clean=_bare(pair.clean), corrupted=_bare(pair.corrupted)) for pair in bundled_pairs()]
    return tuple(pair for pair in bare if pair.clean != pair.corrupted)


def _bare(text: str) -> str:
    return text.removeprefix(task_prefix(text)).strip()


def verify_pairs(model: HookedEncoderDecoder, pairs: Sequence[PromptPair], least: float = LEAST_MARGIN) -> Verified:
    """Which pairs flip a model's answer, and why the others do not.

    Args:
        model: the model.
        pairs: candidates; those that `pair_batch` would refuse are refused with its sentence.
        least: logits by which the answer must beat the foil on the clean source, and the foil the answer on the corrupted one.
    """
    comparable, refused = [], {}
    for pair in pairs:
        try:
            pair_batch(model, [pair])
        except InputError as error:
            refused[pair] = str(error)
        else:
            comparable.append(pair)
    if not comparable:
        return Verified((), refused)
    batch = pair_batch(model, comparable)
    runs = [record_pass(model, side, (), batch.rows) for side in (batch.clean, batch.corrupted)]
    sides = [batch.difference(model, run.outputs).tolist() for run in runs]
    flipping = []
    for pair, clean, corrupted in zip(comparable, *sides, strict=True):
        if clean > least and corrupted < -least:
            flipping.append(pair)
        else:
            refused[pair] = (
                f"Pair {pair.id!r} does not flip the answer: its lead is {clean:+.2f} logits on the clean and "
                f"{corrupted:+.2f} on the corrupted source; it must be above {least:g} and below {-least:g}."
            )
    return Verified(tuple(flipping), refused)


def pair_batch(model: HookedEncoderDecoder, pairs: Sequence[PromptPair]) -> PairBatch:
    """Tokenized minimal pairs that are comparable position by position.

    Args:
        model: the model; it must have a tokenizer.
        pairs: the pairs.

    Raises:
        InputError: if the model has no tokenizer, there is no pair, a pair's sources have different numbers of tokens, or its
            targets do not differ.
    """
    if not pairs:
        raise InputError("Patching needs at least one pair of prompts; got none.")
    if model.tokenizer is None:
        raise InputError("This model was wrapped without a tokenizer; build the two batches and a PairBatch by hand.")
    eos, tokenizer = model.cfg.eos_token_id, model.tokenizer
    with model.languages.spoken(tokenizer):
        clean = [tokenize(pair.clean, tokenizer, eos) for pair in pairs]
        corrupted = [tokenize(pair.corrupted, tokenizer, eos) for pair in pairs]
        targets = [
            (
                tokenize(pair.clean_target, tokenizer, eos, "", "target"),
                tokenize(pair.corrupted_target, tokenizer, eos, "", "target"),
            )
            for pair in pairs
        ]
    for pair, one, other in zip(pairs, clean, corrupted, strict=True):
        _check_counts(pair, one, other)
    rows = [_row(pair, *texts) for pair, texts in zip(pairs, targets, strict=True)]

    def side(sources: Sequence[Text], own: int) -> Batch:
        """One side's batch; nothing after the answer matters to it, so the decoder is not run there."""
        of_pair = [
            texts[own if texts[0].ids[:row] != texts[1].ids[:row] else 0]
            for texts, row in zip(targets, rows, strict=True)
        ]
        prefixes = [_until(text, row + 1) for text, row in zip(of_pair, rows, strict=True)]
        return collate(sources, prefixes, model.cfg, _shift(model, of_pair), "given").to(model.device)

    return PairBatch(
        pairs=tuple(pairs),
        clean=side(clean, 0),
        corrupted=side(corrupted, 1),
        rows=torch.tensor(rows, device=model.device),
        answers=torch.tensor(
            [texts[0].ids[row] for texts, row in zip(targets, rows, strict=True)], device=model.device
        ),
        foils=torch.tensor([texts[1].ids[row] for texts, row in zip(targets, rows, strict=True)], device=model.device),
    )


def _shift(model: HookedEncoderDecoder, targets: Sequence[Text]) -> Callable[[TokenIds], TokenIds]:
    """The rule that makes decoder inputs of the beginnings of targets."""
    if model.family.decoder_inputs == "start":
        return model.decoder_inputs

    def cut(labels: TokenIds) -> TokenIds:
        """Where the last label comes first (mBART), it is the whole target's."""
        whole = collate(targets, targets, model.cfg, model.decoder_inputs, "given")
        return whole.decoder_input_ids[:, : labels.shape[1]]

    return cut


def _check_counts(pair: PromptPair, clean: Text, corrupted: Text) -> None:
    if len(clean.ids) != len(corrupted.ids):
        raise InputError(
            f"Pair {pair.id!r} has {len(clean.ids)} clean and {len(corrupted.ids)} corrupted source tokens "
            f"({' '.join(clean.pieces)} | {' '.join(corrupted.pieces)}); patching needs equally many, so swap a word for one "
            "with as many pieces."
        )


def _row(pair: PromptPair, clean: Text, corrupted: Text) -> int:
    """The target token that answers: the one that the pair names, or the first at which its targets differ."""
    if pair.row is not None:
        if (
            not 0 <= pair.row < min(len(clean.ids), len(corrupted.ids))
            or clean.ids[pair.row] == corrupted.ids[pair.row]
        ):
            raise InputError(
                f"Pair {pair.id!r} answers at target token {pair.row}, where its targets do not differ "
                f"({' '.join(clean.pieces)} | {' '.join(corrupted.pieces)}); give the number of a token, from 0, that does."
            )
        return pair.row
    for row, (one, other) in enumerate(zip(clean.ids, corrupted.ids, strict=False)):
        if one != other:
            return row
    raise InputError(f"Pair {pair.id!r} has the same target twice ({pair.clean_target!r}); give targets that differ.")


def _until(text: Text, length: int) -> Text:
    return replace(
        text,
        ids=text.ids[:length],
        pieces=text.pieces[:length],
        word_of_token=text.word_of_token[:length],
        category_of_token=text.category_of_token[:length],
    )
