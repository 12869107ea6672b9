"""Which decoder row of one prompt is asked about, and with which token its label is compared."""

import numpy as np

from interp.attribution.logit_readout import check_scored, one_token
from interp.audio import GivenSound
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch
from interp.text.tokenized_text import Text
from interp.text.unknown_pieces import check_known
from interp.text.words import NO_WORD


def prompt_of(
    model: HookedEncoderDecoder,
    source: str,
    target: str | None = None,
    prefix: str | None = None,
    audio: GivenSound | None = None,
) -> Batch:
    """A batch of one prompt; arguments and refusals as for `explain`."""
    targets = None if target is None else [target]
    if audio is not None:
        return model.batch(source, targets, audio=[audio])
    return model.batch([source], targets, None if prefix is None else [prefix])


def row_and_foil(
    model: HookedEncoderDecoder,
    source: str,
    batch: Batch,
    foil: str | None,
    position: int | None,
    audio: GivenSound | None = None,
) -> tuple[int, int | None]:
    """The decoder row that is explained and the token it is compared with, None for the model's best other.

    Args:
        model: the model, with a tokenizer.
        source: the source text.
        batch: with the target.
        foil: as for `explain`.
        position: as for `explain`.
        audio: the sound, where there is no text.

    Raises:
        InputError: as for `explain`, and if the word or the row of the table that is asked about stands for nothing.
    """
    text = batch.target_texts[0]
    row, token = _row_and_foil(model, source, text, foil, position, audio)
    if batch.target_origin == "given":
        if _unknown_word(text, row, model):
            raise InputError(
                f"The word of the target at position {row} is unknown to the tokenizer; give another target or position."
            )
        check_scored(model, text.ids[row])
    if token is not None:
        check_scored(model, token)
    return row, token


def _unknown_word(text: Text, row: int, model: HookedEncoderDecoder) -> bool:
    """Whether the word of a row has pieces that the tokenizer does not know."""
    unknown, word = getattr(model.tokenizer, "unk_token_id", None), text.word_of_token[row]
    own = [text.ids[row]] if word == NO_WORD else np.array(text.ids)[np.array(text.word_of_token) == word]
    return unknown is not None and unknown in own


def _row_and_foil(
    model: HookedEncoderDecoder,
    source: str,
    text: Text,
    foil: str | None,
    position: int | None,
    audio: GivenSound | None,
) -> tuple[int, int | None]:
    last = len(text.ids) - 1
    if position is not None and not 0 <= position <= last:
        raise InputError(
            f"Position {position} is not in the target; its pieces are 0 to {last}: {' '.join(text.pieces)}."
        )
    if foil is None:
        chosen = (row for row in range(last + 1) if row not in text.forced)
        return next(chosen, 0) if position is None else position, None
    if position is not None:
        token = one_token(model, foil)
        if token == text.ids[position]:
            raise InputError(f"The foil {foil!r} is the target's own piece at position {position}; give another one.")
        return position, token
    other = prompt_of(model, source, foil, None, audio).target_texts[0]
    check_known([other], model.tokenizer)
    for row, (own, others) in enumerate(zip(text.ids, other.ids, strict=False)):
        if own != others:
            if _unknown_word(other, row, model):
                raise InputError(f"The word in which {foil!r} first differs is unknown to the tokenizer; give another.")
            return row, int(others)
    raise InputError(f"The foil {foil!r} does not differ from the target {text.text!r}; give another one.")
