"""A tokenizer read without transformers, whose import takes longer than most commands that need no model.

transformers builds a tokenizer of a class from parts of `tokenizer.json`, and drops the rest. Where the file says just what the
class of T5 would build, the file itself is that tokenizer; anywhere else transformers has to be asked.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from interp.families.table import FAMILIES

_UNBOUNDED = 10**30
"""The limit of a tokenizer that states none, as in transformers."""


class Encoded(NamedTuple):
    """One text: ids and, for each, the half-open character range it stands for."""

    input_ids: list[int]
    offset_mapping: list[tuple[int, int]]


class RawTokenizer:
    """What `interp.text.tokenize` asks of a tokenizer, answered by a `tokenizer.json` alone.

    Args:
        raw: the tokenizer of the file.
        unk_token: the piece of what it cannot spell.
        model_max_length: most tokens a text may have.
    """

    is_fast = True

    def __init__(self, raw: Tokenizer, unk_token: str, model_max_length: int) -> None:
        self._raw = raw
        self.unk_token_id = raw.get_vocab()[unk_token]
        self.model_max_length = model_max_length
        self.all_special_ids = [token for token, added in raw.get_added_tokens_decoder().items() if added.special]

    def __call__(self, text: str = "", text_target: str | None = None, **_: Any) -> Encoded:
        """One text as ids and character ranges; source and target alike, as in T5."""
        found = self._raw.encode(text if text_target is None else text_target)
        return Encoded(found.ids, found.offsets)

    def convert_ids_to_tokens(self, ids: Sequence[int]) -> list[str]:
        """The pieces of ids.

        Args:
            ids: token ids.
        """
        return [str(self._raw.id_to_token(token)) for token in ids]

    def convert_tokens_to_ids(self, pieces: Sequence[str]) -> list[int]:
        """The ids of pieces, that of the unknown one where there is none.

        Args:
            pieces: the pieces.
        """
        vocabulary = self.get_vocab()
        return [vocabulary.get(piece, self.unk_token_id) for piece in pieces]

    def get_vocab(self) -> dict[str, int]:
        """All pieces: piece -> id."""
        return self._raw.get_vocab()


def raw_tokenizer(folder: Path) -> RawTokenizer | None:
    """The tokenizer of a checkpoint's folder, or None where transformers has to be asked.

    Args:
        folder: of the checkpoint.
    """
    try:
        chosen = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        host = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        raw = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception:  # whatever is wrong with the files, transformers says it; tokenizers raises plain `Exception`
        return None
    family = FAMILIES.get(str(host.get("model_type")))
    relative_of_t5 = family is not None and family.positions == "relative"
    of_class = relative_of_t5 and str(chosen.get("tokenizer_class")).removesuffix("Fast") == "T5Tokenizer"
    if not of_class or "auto_map" in chosen or not _is_built_so(json.loads(raw.to_str())):
        return None
    stated = chosen.get("model_max_length")  # `length_limit` checks it
    return RawTokenizer(raw, str(chosen.get("unk_token", "<unk>")), _UNBOUNDED if stated is None else stated)


def _is_built_so(file: dict[str, Any]) -> bool:
    """Whether a `tokenizer.json` has the parts that the class of T5 makes whatever the file says (transformers 5)."""
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    model = {name: value for name, value in file["model"].items() if name != "vocab"}
    single = (file["post_processor"] or {}).get("single", [])
    return (
        model == {"type": "Unigram", "unk_id": 2, "byte_fallback": False}
        and (file["normalizer"] or {"type": "Precompiled"})["type"] == "Precompiled"
        and file["pre_tokenizer"] == {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]}
        and [next(iter(part)) for part in single] == ["Sequence", "SpecialToken"]
        and single[1]["SpecialToken"]["id"] == "</s>"
        and file["truncation"] is file["padding"] is None
    )
