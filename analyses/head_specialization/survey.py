"""The whole analysis in one call, for notebooks and the command line: a model and texts in, the head atlas out.

    atlas = heads(interp.load(), "translation")        labels_frame(atlas), heads_frame(atlas, "cross"), atlas.metric(...)

The numbers are those of a report, gathered in memory (`analyses.core.evidence`).
"""

from collections.abc import Sequence

from analyses.core.evidence import Crew, gather
from analyses.core.observing import ConfiguredAnalysis, Progress, make_batches, no_progress
from analyses.core.registry import get
from analyses.core.shards import Shards
from analyses.head_specialization.settings import HeadSettings
from analyses.head_specialization.summary import HeadAtlas, summarize
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import Prompt, PromptSet, bundled
from interp.text.batch import Batch

Texts = str | PromptSet | Batch | Sequence[Prompt] | Sequence[str] | Sequence[tuple[str, str]]
"""A bundled set by name, a prompt set or its prompts, a batch, sources, or (source, target) pairs."""


def heads(
    model: HookedEncoderDecoder,
    prompts: Texts = "translation",
    settings: HeadSettings | None = None,
    twins: int = 5,
    seed: int = 0,
    batch_size: int = 16,
    progress: Progress = no_progress,
    crew: Crew | None = None,
    store: Shards | None = None,
) -> HeadAtlas:
    """What every attention head of a model does on some texts, with its controls.

    Args:
        model: a model of any family; numbers that a family does not have are left out.
        prompts: see `Texts`; targets that are missing are generated greedily.
        settings: thresholds, measures of importance, gold links and parses.
        twins: untrained control models; their seeds are those of a report.
        seed: of resampling and of the twins.
        batch_size: prompts in one pass; experiments have batches of their own, as in a run.
        progress: told of the progress.
        crew: other processes that observe (`analyses.runs.crew.crew_of`); no number depends on them.
        store: where what they give is kept.

    Raises:
        InputError: if a text cannot be used, the model reads none, or numbers are below what is needed.
    """
    if twins < 0 or batch_size < 1:
        raise InputError(f"twins={twins} and batch_size={batch_size}; give at least 0 twins and 1 prompt a pass.")
    if (why := get("head_specialization").applies(model.cfg)) is not None:
        raise InputError(f"Roles of heads cannot be decided on this model: {why}. Choose another model.")
    # By name, as a run asks for it: this module is itself a part of the package that puts the analysis together.
    item = ConfiguredAnalysis(get("head_specialization"), settings or HeadSettings())
    ids, batches = batches_of(model, prompts, batch_size, progress)
    return summarize(*gather([item], model, ids, batches, twins, seed, progress, store, crew=crew))


def batches_of(
    model: HookedEncoderDecoder, prompts: Texts, batch_size: int = 16, progress: Progress = no_progress
) -> tuple[tuple[str, ...], Sequence[Batch]]:
    """Ids and batches of some texts.

    Raises:
        InputError: if there are none, some have a target and some have none, or one cannot be used.
    """
    if isinstance(prompts, Batch):
        return tuple(str(index + 1) for index in range(len(prompts))), [prompts]
    read = _prompts(prompts)
    targets = [prompt.target for prompt in read if prompt.target is not None]
    if not read or len(targets) not in (0, len(read)):
        raise InputError(
            f"Of {len(read)} texts {len(targets)} have a target; give some texts, and a target for all or none."
        )
    return tuple(prompt.id for prompt in read), make_batches(model, read, batch_size, progress)


def _prompts(given: str | PromptSet | Sequence[Prompt] | Sequence[str] | Sequence[tuple[str, str]]) -> list[Prompt]:
    if isinstance(given, str):
        return list(bundled(given).prompts)
    if isinstance(given, PromptSet):
        return list(given.prompts)
    items: Sequence[Prompt | str | tuple[str, str]] = given
    return [_prompt(item, number) for number, item in enumerate(items, 1)]


def _prompt(item: Prompt | str | tuple[str, str], number: int) -> Prompt:
    if isinstance(item, Prompt):
        return item
    source, target = (item, None) if isinstance(item, str) else item
    return Prompt(str(number), source, target)
