"""Small corpora and stores of activations over bytes."""

import json
from pathlib import Path
from typing import Any

from interp.activations import ActivationStore, write_activations
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import PromptStream

SOURCES = ("A dog runs.", "two", "Ein Käse, 🙂!", "the cat and the dog", "x", "No one saw it", "fine, thanks")
TARGETS = ("Ein Hund", "zwei", "cheese", "die Katze und", "y", "Keiner", "gut, danke")
HOOKS = (
    "encoder.1.hook_resid_post",
    "decoder.0.attn.hook_z",
    "decoder.1.cross_attn.hook_k",
    "decoder.2.hook_resid_post",
)
"""Of both sides: keys of cross-attention have rows of the source."""


def write_corpus_file(path: Path, with_targets: bool = True) -> Path:
    """Write the corpus as JSON Lines."""
    rows: list[dict[str, Any]] = [{"id": f"p{number}", "source": source} for number, source in enumerate(SOURCES)]
    for row, target in zip(rows, TARGETS, strict=True):
        row |= {"target": target} if with_targets else {}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def make_store(model: HookedEncoderDecoder, folder: Path, **choices: Any) -> ActivationStore:
    """The store of the corpus at `HOOKS`, three prompts a pass and ten rows a shard unless said otherwise."""
    corpus = PromptStream(write_corpus_file(folder / "corpus.jsonl"))
    chosen = {"hooks": HOOKS, "rows_per_shard": 10, "batch_size": 3} | choices
    return ActivationStore(write_activations(model, corpus, folder / "stores", **chosen))
