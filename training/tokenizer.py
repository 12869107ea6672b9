"""How text becomes ids: a SentencePiece unigram model (Kudo 2018) with T5's layout of special tokens.

The unigram trainer maximizes likelihood and leaves even very frequent words in two pieces ("▁I" + "ch"). Analyses read whole
words, so the listed words and then the most frequent words that are still split are added as pieces until the vocabulary is
full, each with the log of its relative frequency as score, or the score of its best split plus `MARGIN` where that is higher, so
that the word wins. Ids: 0 `<pad>`, 1 `</s>`, 2 `<unk>`, pieces, and at the end `<extra_id_99>` … `<extra_id_0>`, as in T5.
"""

import io
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from transformers import T5Tokenizer

from interp.errors import InputError
from training.recipe import SENTINELS

Piece = tuple[str, float]

SPECIAL = ("<pad>", "</s>", "<unk>")
MARGIN = 0.1
MODEL_MAX_LENGTH = 128
_SENTINEL = re.compile(r"<extra_id_\d+>")


def train_pieces(texts: Sequence[str], pieces: int) -> list[Piece]:
    """Fits a unigram model to raw texts; one thread, because only then equal texts give equal pieces.

    Returns:
        At most `pieces` pieces with their log probabilities, the three special tokens first.

    Raises:
        InputError: if SentencePiece is not installed, or `pieces` is too few for the characters of the texts.
    """
    try:
        from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
    except ModuleNotFoundError as error:
        raise InputError(
            "Training a tokenizer needs SentencePiece. Install it with `pip install sentencepiece`."
        ) from error
    model = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(sorted(set(texts))),
            model_writer=model,
            model_type="unigram",
            vocab_size=pieces,
            hard_vocab_limit=False,
            character_coverage=1.0,
            normalization_rule_name="identity",
            num_threads=1,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            pad_piece=SPECIAL[0],
            eos_piece=SPECIAL[1],
            unk_piece=SPECIAL[2],
            minloglevel=2,
        )
    except RuntimeError as error:
        raise InputError(
            f"No tokenizer of {pieces} pieces can be fitted to the texts: {error} Change unigram_pieces."
        ) from error
    fitted = SentencePieceProcessor(model_proto=model.getvalue())
    return [(fitted.id_to_piece(index), fitted.get_score(index)) for index in range(fitted.get_piece_size())]


def pieces_of(folder: Path) -> list[Piece]:
    """Pieces and scores of a saved unigram tokenizer, without its sentinels.

    Raises:
        InputError: if the folder has no tokenizer.json, or that is no unigram model.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise InputError(f"There is no tokenizer.json in {str(folder)!r}. Give the folder of a checkpoint.")
    model = json.loads(path.read_text(encoding="utf-8"))["model"]
    if model["type"] != "Unigram":
        raise InputError(
            f"{str(path)!r} is a {model['type']} tokenizer, but only a Unigram one can be extended. Train afresh."
        )
    return [(piece, score) for piece, score in model["vocab"] if not _SENTINEL.fullmatch(piece)]


def add_words(pieces: Sequence[Piece], texts: Sequence[str], size: int, listed: Sequence[str]) -> list[Piece]:
    """`pieces` and whole words that it splits: listed ones first, then by falling frequency, until there are `size` pieces.

    Args:
        pieces: a unigram vocabulary, special tokens first.
        texts: where words are counted.
        size: pieces wanted in the end; fewer if the texts have not enough words.
        listed: words to add however rare; those absent from the texts are left out.
    """
    counts = Counter(word for text in texts for word in re.findall(r"\w+", text))
    total = sum(counts.values())
    by_frequency = [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    splitter, scores = build(pieces), dict(pieces)
    grown = dict(pieces)
    for word in [*(word for word in listed if counts[word]), *by_frequency]:
        if len(grown) >= size:
            break
        if f"▁{word}" not in grown:
            parts = splitter.tokenize(word)
            best = sum(scores[part] for part in parts) if all(part in scores for part in parts) else -math.inf
            grown[f"▁{word}"] = max(math.log(counts[word] / total), best + MARGIN)
    return list(grown.items())


def build(pieces: Sequence[Piece]) -> T5Tokenizer:
    """A T5 tokenizer over `pieces` (special tokens first) and 100 sentinels at the end."""
    sentinels = [(f"<extra_id_{index}>", 0.0) for index in reversed(range(SENTINELS))]
    return T5Tokenizer(vocab=[*pieces, *sentinels], extra_ids=SENTINELS, model_max_length=MODEL_MAX_LENGTH)
