"""Which prompt is it? What a batch of prompts is refused for is said of the one that cannot be used, by its own name."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import Prompt
from interp.text.batch import Batch

_TOGETHER = 16


def check_each(model: HookedEncoderDecoder, prompts: Iterable[Prompt]) -> None:
    """Nothing, where every prompt can be read by itself.

    Args:
        model: the model.
        prompts: the prompts.

    Raises:
        InputError: naming the first one that cannot.
    """
    for prompt in prompts:
        source, target = prompt.given
        try:
            if target is None:
                model.unanswered([source], [prompt.prefix])
            else:
                model.batch([source], [target], prefixes=[prompt.prefix])
        except InputError as error:
            raise InputError(f"Prompt {prompt.id}: {error}") from error


def read_sources(model: HookedEncoderDecoder, prompts: Sequence[Prompt]) -> Iterator[Batch]:
    """The sources of prompts, some at a time, with targets that only stand in.

    Args:
        model: the model.
        prompts: the prompts.

    Raises:
        InputError: naming the first one that cannot be read.
    """
    for start in range(0, len(prompts), _TOGETHER):
        part = prompts[start : start + _TOGETHER]
        try:
            yield model.unanswered([prompt.given[0] for prompt in part], [prompt.prefix for prompt in part])
        except InputError:
            check_each(model, (replace(prompt, target=None) for prompt in part))
            raise
