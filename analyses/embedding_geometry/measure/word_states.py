"""Words in sentences of our own: the encoder's state of one word in every space.

Only the encoder runs. A word of several pieces is the mean of their states. Sentences carry a task prefix where the model was
trained with one, since such a model has never seen a sentence without.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from analyses.embedding_geometry.measure.spaces import HOOKS, encoder_states
from interp.errors import InputError
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.keeping import keeper
from interp.text.batch import collate
from interp.text.tokenized_text import Text, tokenize
from interp.text.words import CONTENT, FUNCTION, PUNCTUATION

_BATCH = 64
_ENCODER_HOOKS = tuple(name for name in HOOKS if name.startswith("encoder"))


def word_states(
    model: HookedEncoderDecoder, prefix: str, sentences: Sequence[str], words: Sequence[str]
) -> tuple[Float[np.ndarray, "sentence space d_model"], Float[np.ndarray, "sentence space d_model"]]:
    """The state of one word of every sentence, and the mean direction of all tokens of the sentence.

    Args:
        model: a model with a tokenizer.
        prefix: the task prefix of every sentence, or an empty text.
        sentences: the sentences without prefix.
        words: the word of every sentence, as it stands there; its first occurrence counts.

    Returns:
        States and mean directions, spaces in the order of `encoder_spaces`.

    Raises:
        InputError: if a sentence does not contain its word, or is longer than the model was made for.
    """
    assert model.tokenizer is not None
    eos = model.cfg.eos_token_id
    with model.languages.spoken(model.tokenizer):
        texts = {
            sentence: tokenize(prefix + sentence, model.tokenizer, eos, prefix) for sentence in dict.fromkeys(sentences)
        }
    # Sentences of one length share a batch, so that little is padded; a sentence with several words is read once.
    order = sorted(texts, key=lambda sentence: len(texts[sentence].ids))
    hidden: dict[str, Tensor] = {}
    for start in range(0, len(order), _BATCH):
        part = order[start : start + _BATCH]
        encoded = _encode(model, [texts[sentence] for sentence in part])
        hidden |= {sentence: encoded[:, row, : len(texts[sentence].ids)] for row, sentence in enumerate(part)}
    states, directions = [], []
    for sentence, word in zip(sentences, words, strict=True):
        text, own = texts[sentence], hidden[sentence]
        states.append(own[:, _positions(text, word, len(prefix))].mean(1).cpu().numpy())
        spoken = [p for p, kind in enumerate(text.category_of_token) if kind in {CONTENT, FUNCTION, PUNCTUATION}]
        directions.append(torch.nn.functional.normalize(own[:, spoken], dim=-1).mean(1).cpu().numpy())
    return np.stack(states).astype(np.float64), np.stack(directions).astype(np.float64)


def _encode(model: HookedEncoderDecoder, texts: Sequence[Text]) -> Float[Tensor, "space batch source d_model"]:
    """Encoder states of a padded batch; the decoder does not run."""
    batch = collate(texts, texts, model.cfg, model.decoder_inputs, "given").to(model.device)
    kept: dict[str, Tensor] = {}
    keep = keeper(kept)
    with torch.no_grad(), model.hooks([(name, keep) for name in _ENCODER_HOOKS]):
        model.hf.get_encoder()(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
    return encoder_states(model, ActivationCache(kept, batch, model.compute_result))


def _positions(text: Text, word: str, prefix_length: int) -> list[int]:
    """Tokens of the first occurrence of a word behind the prefix."""
    wanted = word.casefold()
    for index, candidate in enumerate(text.words):
        positions = [place for place, owner in enumerate(text.word_of_token) if owner == index]
        spoken = positions and text.category_of_token[positions[0]] in {CONTENT, FUNCTION}
        if spoken and candidate.casefold() == wanted:  # tokens of a prefix are of another category
            return positions
    raise InputError(f"The sentence {text.text[prefix_length:]!r} does not contain the word {word!r} as a word.")
