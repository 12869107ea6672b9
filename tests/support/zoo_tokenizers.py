"""Tokenizers with the special-token layout of public checkpoints, trained in a moment on the bundled sentences.

Every function writes into a folder the tokenizer files that the public checkpoint has, and returns how many pieces there are,
language marks and added tokens included. Pieces differ from the public ones; ids of special tokens, their kind (special,
sentinel, ordinary piece), text normalization and the contents of `tokenizer_config.json` do not.
"""

import io
import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import AddedToken, ByteLevelBPETokenizer, CharBPETokenizer
from transformers import (
    BartTokenizer,
    BlenderbotTokenizer,
    ByT5Tokenizer,
    GemmaTokenizer,
    M2M100Tokenizer,
    MBart50Tokenizer,
    NllbTokenizer,
    PegasusTokenizer,
    PLBartTokenizer,
    PreTrainedTokenizerBase,
    T5Tokenizer,
    WhisperTokenizer,
)
from transformers.models.whisper.tokenization_whisper import LANGUAGES
from transformers.tokenization_utils_base import generate_merges

from interp import prompts

_T5_IDS = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
_PIECES = 600


@cache
def _sentences() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """English sentences, and German and French ones; digits, quotes and dashes are in public vocabularies too."""
    sources = dict.fromkeys(prompt.sentence for prompt in prompts.bundled("translation").prompts)
    others = (prompt.target or "" for prompt in prompts.bundled("references").prompts)
    marks = 'It costs 1,000 euros: 23 or 45, 67 - 89 (or "more")!'
    return (*sources, marks, "translate English to German:"), (*others, marks)


@cache
def _sentencepiece(which: str = "both", kind: str = "unigram", **ids: int) -> bytes:
    """A SentencePiece model: its file's content. The rules of normalization (NMT NFKC) are those of T5, Marian and M2M100."""
    english, others = _sentences()
    texts = {"english": english, "others": others, "both": english + others}[which]
    content = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=content,
        model_type=kind,
        vocab_size=_PIECES,
        hard_vocab_limit=False,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
        **ids,
    )
    return content.getvalue()


def _scored_pieces(model: bytes) -> list[tuple[str, float]]:
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [(processor.id_to_piece(i), processor.get_score(i)) for i in range(processor.get_piece_size())]


def _normalization(model: bytes) -> bytes:
    """The compiled rules of normalization: field 2 of field 3 of the protocol buffer."""
    return dict(_fields(dict(_fields(model))[3]))[2]


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of the fields of a protocol buffer; numbers of variable length are skipped."""
    place = 0
    while place < len(message):
        key, place = _number(message, place)
        width = {1: 8, 5: 4}.get(key & 7)
        if key & 7 == 0:
            _, place = _number(message, place)
            continue
        if width is None:
            width, place = _number(message, place)
        yield key >> 3, message[place : place + width]
        place += width


def _number(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _write(tokenizer: PreTrainedTokenizerBase, folder: Path, config: dict[str, Any]) -> int:
    """The tokenizer's files, its configuration as published."""
    tokenizer.save_pretrained(folder)
    _write_config(folder, config)
    return len(tokenizer)


def _write_config(folder: Path, config: dict[str, Any]) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def t5(
    folder: Path,
    sentinels: int = 100,
    limit: int | None = 512,
    added: Sequence[str] = (),
    special: Sequence[str] = (),
    fill_to: int = 0,
) -> int:
    """T5, v1.1, Flan, UMT5: pad 0, eos 1, unk 2, pieces, sentinels from the highest number to 0.

    Args:
        folder: where to write.
        sentinels: how many, 100 in T5 and 300 in UMT5.
        limit: `model_max_length`; None for checkpoints that state none.
        added: ordinary tokens that somebody added.
        special: special tokens that somebody added.
        fill_to: pieces there are, sentinels included, by made-up pieces; 0 for as many as there are.
    """
    model = _sentencepiece(**_T5_IDS)
    pieces = _scored_pieces(model)
    pieces += [(f"▁made{i}", -20.0) for i in range(len(pieces), fill_to - sentinels)]
    tokenizer = T5Tokenizer(
        vocab=[*pieces, *((f"<extra_id_{i}>", 0.0) for i in reversed(range(sentinels)))],
        extra_ids=sentinels,
        _spm_precompiled_charsmap=_normalization(model),
    )
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in added])
    tokenizer.add_special_tokens({"extra_special_tokens": list(special)}, replace_extra_special_tokens=False)
    config = _T5_CONFIG | {
        "extra_ids": sentinels,
        "additional_special_tokens": [*(f"<extra_id_{i}>" for i in range(sentinels)), *special],
    }
    return _write(tokenizer, folder, config if limit is None else config | {"model_max_length": limit})


_T5_CONFIG = {"tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def mt5(folder: Path, fill_to: int = 0) -> int:
    """mT5: no special tokens but pad, eos and unk; 100 sentinels are ordinary pieces, `▁<extra_id_0>` ...; no limit stated."""
    model = _sentencepiece(**_T5_IDS)
    pieces = _scored_pieces(model)
    pieces += [(f"▁made{i}", -20.0) for i in range(len(pieces), fill_to - 100)]
    pieces += [(f"▁<extra_id_{i}>", 0.0) for i in reversed(range(100))]
    tokenizer = T5Tokenizer(vocab=pieces, extra_ids=0, _spm_precompiled_charsmap=_normalization(model))
    return _write(tokenizer, folder, _T5_CONFIG | {"extra_ids": 0, "additional_special_tokens": None})


def t5_without_json(folder: Path) -> int:
    """v1.1 and mT5 publish `spiece.model` and no tokenizer.json."""
    (folder / "spiece.model").write_bytes(_sentencepiece(**_T5_IDS))
    _write_config(folder, _T5_CONFIG | {"extra_ids": 100})
    return len(_scored_pieces(_sentencepiece(**_T5_IDS))) + 100


def byt5(folder: Path) -> int:
    """ByT5: 3 special tokens, 256 bytes, 125 sentinels; no limit stated."""
    tokenizer = ByT5Tokenizer()
    sentinels = [f"<extra_id_{i}>" for i in range(125)]
    names = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "extra_ids": 125}
    return _write(
        tokenizer, folder, names | {"additional_special_tokens": sentinels, "tokenizer_class": "ByT5Tokenizer"}
    )


def bart(folder: Path) -> int:
    """BART: bytes, `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, `<mask>` last; 1024 tokens."""
    english, others = _sentences()
    trained = ByteLevelBPETokenizer()
    first = ["<s>", "<pad>", "</s>", "<unk>"]
    trained.train_from_iterator(english + others, vocab_size=_PIECES, special_tokens=first, show_progress=False)
    raw = json.loads(trained.to_str())["model"]
    vocab = raw["vocab"] | {"<mask>": len(raw["vocab"])}
    tokenizer = BartTokenizer(vocab=vocab, merges=[tuple(merge) for merge in raw["merges"]])
    return _write(tokenizer, folder, {"model_max_length": 1024})


def mbart50(folder: Path, source: str | None = None, target: str | None = None) -> int:
    """mBART-50: fairseq's ids, 52 language codes behind the pieces, `<mask>` last; 1024 tokens. Languages None as published."""
    model = _sentencepiece()
    tokenizer = MBart50Tokenizer(vocab=_scored_pieces(model), _spm_precompiled_charsmap=_normalization(model))
    config = {"tokenizer_class": "MBart50Tokenizer", "src_lang": source, "tgt_lang": target, "model_max_length": 1024}
    return _write(tokenizer, folder, config)


def nllb(folder: Path, source: str | None = None, target: str | None = None) -> int:
    """NLLB: BPE, fairseq's ids, 202 language codes and `<mask>` behind the pieces; 1024 tokens. Languages None as published."""
    pieces = _scored_pieces(_sentencepiece(kind="bpe"))[3:]
    vocab = {piece: i for i, piece in enumerate(("<s>", "<pad>", "</s>", "<unk>", *(piece for piece, _ in pieces)))}
    tokenizer = NllbTokenizer(
        vocab=vocab,
        merges=generate_merges(vocab, skip_tokens={"<s>", "<pad>", "</s>", "<unk>"}),
        _spm_precompiled_charsmap=_normalization(_sentencepiece(kind="bpe")),
    )
    config = {"tokenizer_class": "NllbTokenizer", "src_lang": source, "tgt_lang": target, "model_max_length": 1024}
    return _write(tokenizer, folder, config)


def m2m100(folder: Path, source: str | None = None, target: str | None = None) -> int:
    """M2M100: sentencepiece.bpe.model and vocab.json, `__af__` ... behind the pieces; no fast tokenizer, so no offsets."""
    model = _sentencepiece(kind="bpe")
    (folder / "sentencepiece.bpe.model").write_bytes(model)
    names = ("<s>", "<pad>", "</s>", "<unk>", *(piece for piece, _ in _scored_pieces(model)[3:]))
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(names)}), encoding="utf-8")
    config = {"tokenizer_class": "M2M100Tokenizer", "src_lang": source, "tgt_lang": target, "model_max_length": 1024}
    _write_config(folder, config | {"language_codes": "m2m100", "num_madeup_words": 8})
    return len(names) + len(M2M100Tokenizer.from_pretrained(folder).lang_code_to_id)


def plbart(folder: Path, source: str | None = None, target: str | None = None) -> int:
    """PLBart: fairseq's ids, languages of programs and English behind the pieces, `<mask>` last; 1024 tokens; no offsets."""
    (folder / "sentencepiece.bpe.model").write_bytes(_sentencepiece(kind="bpe"))
    config = {"tokenizer_class": "PLBartTokenizer", "language_codes": "base", "model_max_length": 1024}
    _write_config(folder, config | {"src_lang": source, "tgt_lang": target})
    return len(PLBartTokenizer.from_pretrained(folder))


def blenderbot(folder: Path) -> int:
    """Blenderbot: bytes, every text with a blank in front; `<pad>` 0, `<s>` 1, `</s>` 2, `<unk>` 3; 128 tokens."""
    english, others = _sentences()
    trained = ByteLevelBPETokenizer(add_prefix_space=True)
    first = ["<pad>", "<s>", "</s>", "<unk>"]
    trained.train_from_iterator(english + others, vocab_size=_PIECES, special_tokens=first, show_progress=False)
    raw = json.loads(trained.to_str())["model"]
    merges = [tuple(merge) for merge in raw["merges"]]
    tokenizer = BlenderbotTokenizer(vocab=raw["vocab"] | {"<mask>": len(raw["vocab"])}, merges=merges)
    return _write(tokenizer, folder, {"tokenizer_class": "BlenderbotTokenizer", "model_max_length": 128})


def blenderbot_small(folder: Path) -> int:
    """Blenderbot-small: small letters alone, `the@@` goes on in the next piece, nothing ends a text; 512 tokens."""
    english, others = _sentences()
    trained = CharBPETokenizer(lowercase=True)
    apart = [re.sub(r"([.,!?()'])", r" \1 ", text).lower() for text in english + others]
    trained.train_from_iterator(apart, vocab_size=_PIECES, min_frequency=1, show_progress=False)
    raw = json.loads(trained.to_str())["model"]
    pieces = [piece[:-4] if piece.endswith("</w>") else f"{piece}@@" for piece in raw["vocab"]]
    names = dict.fromkeys(("__null__", "__start__", "__end__", "__unk__", "__newln__", *pieces))
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(names)}), encoding="utf-8")
    merges = [" ".join(merge) for merge in raw["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    _write_config(folder, {"tokenizer_class": "BlenderbotSmallTokenizer", "model_max_length": 512})
    return len(names)


def gemma(folder: Path) -> int:
    """Gemma: `<pad>` 0, `<eos>` 1, `<bos>` 2 before every text, `<unk>` 3, `<mask>` 4, bytes, pieces; nothing ends a text."""
    pieces = [piece for piece, _ in _scored_pieces(_sentencepiece(kind="bpe"))[3:]]
    first = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{byte:02X}>" for byte in range(256)))
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys((*first, *pieces)))}
    tokenizer = GemmaTokenizer(vocab=vocab, merges=generate_merges(vocab, skip_tokens=set(first)), add_bos_token=True)
    # Padding on the left, the class' default, would move positions.
    config = {
        "tokenizer_class": "GemmaTokenizer",
        "add_bos_token": True,
        "add_eos_token": False,
        "padding_side": "right",
    }
    return _write(tokenizer, folder, config)


WHISPER_LANGUAGES = tuple(f"<|{code}|>" for code in LANGUAGES if code != "yue")
"""99 languages, as in all public models up to large-v2."""


def whisper(folder: Path) -> tuple[int, dict[str, int]]:
    """Whisper: bytes, pieces, then `<|endoftext|>`, start, languages, tasks and other marks, times; 448 tokens.

    Returns:
        How many pieces there are, and their ids.
    """
    english, others = _sentences()
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(english + others, vocab_size=_PIECES, show_progress=False)
    raw = json.loads(trained.to_str())["model"]
    end = "<|endoftext|>"
    merges = [tuple(merge) for merge in raw["merges"]]
    tokenizer = WhisperTokenizer(vocab=raw["vocab"] | {end: len(raw["vocab"])}, merges=merges, pad_token=end)
    names = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
    marks = ["<|startoftranscript|>", *WHISPER_LANGUAGES, *(f"<|{name}|>" for name in names)]
    tokenizer.add_special_tokens({"extra_special_tokens": marks}, replace_extra_special_tokens=False)
    tokenizer.add_tokens([AddedToken(f"<|{place * 0.02:.2f}|>", normalized=False) for place in range(101)])
    config = {
        "tokenizer_class": "WhisperTokenizer",
        "model_max_length": 1024,
        "additional_special_tokens": [end, *marks],
    }
    config |= {
        "bos_token": end,
        "eos_token": end,
        "pad_token": end,
        "unk_token": end,
        "processor_class": "WhisperProcessor",
    }
    return _write(tokenizer, folder, config), tokenizer.get_vocab()


def pegasus(folder: Path) -> int:
    """Pegasus: pad 0, eos 1, two masks, 101 unused names, `<unk>` 105; 512 tokens."""
    model = _sentencepiece(**_T5_IDS)
    first = ["<pad>", "</s>", "<mask_1>", "<mask_2>", *(f"<unk_{i}>" for i in range(2, 103))]
    vocab = [*((name, 0.0) for name in first), ("<unk>", 0.0), *_scored_pieces(model)[3:]]
    tokenizer = PegasusTokenizer(vocab=vocab, _spm_precompiled_charsmap=_normalization(model))
    return _write(tokenizer, folder, {"tokenizer_class": "PegasusTokenizer", "model_max_length": 512})


def marian(folder: Path, marks: Sequence[str] = ()) -> int:
    """Marian: two SentencePiece models, one vocab.json in which eos is 0, unk 1 and pad last; 512 tokens; no fast tokenizer.

    Args:
        folder: where to write.
        marks: `>>fra<<` ..., in models with several target languages; ordinary entries of the vocabulary.
    """
    source, target = _sentencepiece("english"), _sentencepiece("others")
    (folder / "source.spm").write_bytes(source)
    (folder / "target.spm").write_bytes(target)
    pieces = [piece for model in (source, target) for piece, _ in _scored_pieces(model)[3:]]
    names = dict.fromkeys(("</s>", "<unk>", *marks, *pieces, "<pad>"))
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(names)}), encoding="utf-8")
    languages = {"source_lang": "eng", "target_lang": "mul"} if marks else {"source_lang": "en", "target_lang": "de"}
    _write_config(
        folder, {"tokenizer_class": "MarianTokenizer", "model_max_length": 512, "separate_vocabs": False, **languages}
    )
    return len(names)
