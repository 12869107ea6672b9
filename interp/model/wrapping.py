"""What can be wrapped: a model of transformers that writes text, and a tokenizer whose tokens the model has rows for."""

from typing import Any

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from interp.errors import InputError
from interp.families.table import Family, family_of
from interp.hooks.plain_modules import plain


def checked_host(hf: Any) -> tuple[PreTrainedModel, Family]:
    """A host in plain modules, out of torch.compile's wrapper, and its row of the family table.

    Args:
        hf: what is to be wrapped.

    Raises:
        InputError: if it is no model of transformers, of no supported family, writes no text, or is no plain one.
    """
    hf = plain(hf) if isinstance(hf, nn.Module) else hf
    if not isinstance(hf, PreTrainedModel):
        raise InputError(
            f"Wrapped are models of transformers; got a {type(hf).__name__}. `interp.load` takes names and folders."
        )
    family = family_of(hf.config.model_type, bool(hf.config.is_encoder_decoder))
    if not hf.can_generate():
        raise InputError(
            f"A {type(hf).__name__} writes no text, and its own head would be left out; wrapped are models that write: "
            f"{family.heads[0]}."
        )
    return hf, family


def check_tokenizer(tokenizer: Any, hf: PreTrainedModel, name: str | None = None) -> None:
    """Refuse what is no tokenizer, and one with tokens that the model has no row for.

    Args:
        tokenizer: what is given as one, or None.
        hf: the host.
        name: what the checkpoint is called; the class of the host by default.

    Raises:
        InputError: saying which of the two.
    """
    if tokenizer is None:
        return
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise InputError(
            f"A tokenizer is one of transformers, as `AutoTokenizer.from_pretrained(folder)` gives it; got a "
            f"{type(tokenizer).__name__}."
        )
    rows = next(hf.get_input_embeddings().parameters()).shape[0]
    if len(tokenizer) > rows:
        raise InputError(
            f"The tokenizer of {name or type(hf).__name__!r} has {len(tokenizer)} tokens and its model only {rows} embeddings; "
            "check that they belong together."
        )
