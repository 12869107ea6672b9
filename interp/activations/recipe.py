"""The recipe of a store, taken from a model and a corpus."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version

from transformers import PreTrainedTokenizerBase

from interp.activations.manifest import Kept, Layout, Recipe, StoredType
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import weights_digest

_WHENCE = ("_name_or_path", "transformers_version", "_from_model_config")


def make_recipe(
    model: HookedEncoderDecoder,
    corpus: tuple[str, int],
    hooks: Sequence[str],
    stored_as: StoredType,
    layout: Layout,
    rows_per_shard: int,
    batch_size: int,
    keep: Sequence[Kept],
) -> Recipe:
    """The recipe of a store; see `Recipe`.

    Args:
        model: the model.
        corpus: sha256 and number of prompts.
        hooks: names of hook points.
        stored_as: type of the numbers.
        layout: kind of the shards.
        rows_per_shard: rows of a shard.
        batch_size: prompts in one pass.
        keep: what is kept beside ordinary tokens.
    """
    settings: Mapping[str, str | int | None] = {
        "model_type": model.cfg.model_type,
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": model.device.type,
        "max_length": model.max_length,
        "source_lang": model.languages.source,
        "target_lang": model.languages.target,
        "configuration": _settings_digest(model),
    }
    return Recipe(
        weights=weights_digest(model),
        tokenizer=_tokenizer_digest(model.tokenizer),
        settings=dict(settings),
        corpus=corpus[0],
        prompts=corpus[1],
        hooks=tuple(hooks),
        stored_as=stored_as,
        layout=layout,
        rows_per_shard=rows_per_shard,
        batch_size=batch_size,
        keep=tuple(keep),
        versions={name: version(name) for name in ("t5-interp", "torch", "transformers", "tokenizers")},
    )


def _settings_digest(model: HookedEncoderDecoder) -> str:
    """Of the host's settings and those of its generation, without where they came from."""
    given = (model.hf.config.to_dict(), model.hf.generation_config.to_dict() if model.hf.generation_config else {})
    kept = [{key: value for key, value in one.items() if key not in _WHENCE} for one in given]
    return sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()


def _tokenizer_digest(tokenizer: PreTrainedTokenizerBase | None) -> str:
    if tokenizer is None:
        raise InputError("This model was wrapped without a tokenizer, so no corpus of texts can be read; pass one.")
    parts = [type(tokenizer).__name__, json.dumps(tokenizer.get_vocab(), sort_keys=True)]
    if tokenizer.is_fast:
        parts.append(tokenizer.backend_tokenizer.to_str())
    return sha256("\n".join(parts).encode(errors="surrogatepass")).hexdigest()
