"""What `interp attribute` says about source words by other methods than its own, and how good the methods are."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analyses.commands.messages import print_frame, say
from analyses.commands.pages import page_slug, typed_command, write_page
from interp.report.numbers import counted

if TYPE_CHECKING:
    import pandas as pd

    from interp.model.hooked_model import HookedEncoderDecoder
    from interp.sources import Question, SourceAttribution
    from interp.text.batch import Batch

JUDGED = 24
"""Prompts that methods are judged on, one of every sentence, unless `--limit` says another number."""

_EXAMPLES = 4
"""Inputs of every compiled program."""


def methods_asked(
    source: str | None, named: str | None, judge: bool, out: Path | None, audio: Path | None = None
) -> tuple[str, ...]:
    """The methods of `--sources`: names separated by commas, or `all`, which is also what is judged by default.

    Raises:
        InputError: if there is no such method, nothing to do, or a page is asked for that is not made.
    """
    from interp.errors import InputError, did_you_mean
    from interp.sources import METHODS

    if audio is not None:
        if (source, named, judge) != (None, None, False):
            raise InputError("--audio is a source of its own, without words that --sources or --judge could ask for.")
        return ()
    if source is None and not judge:
        raise InputError("There is nothing to explain; give a source text, or --judge.")
    if out is not None and (source is not None) == judge:
        raise InputError("--out writes one page, of a text's explanation or of --judge; give a text or --judge.")
    if out is not None and source is not None and named is not None:
        raise InputError("--out writes the page of a text's exact contributions; give a text, and no --sources.")
    if named is None or named == "all":
        return tuple(METHODS)
    methods = tuple(dict.fromkeys(name.strip() for name in named.split(",") if name.strip()))
    for name in methods or (named,):
        if name not in METHODS:
            raise InputError(
                f"No method is called {name!r}{did_you_mean(name, METHODS)}; --sources takes `all`, or some of "
                f"{', '.join(METHODS)}, separated by commas."
            )
    return methods


def print_sources(
    model: "HookedEncoderDecoder",
    explained: tuple[str, str | None, str | None, int | None, str | None],
    methods: Sequence[str],
) -> None:
    """Print what methods say about source tokens, and what they put beside; what is explained is as `asked` takes it."""
    from analyses.logit_attribution.attribute import asked
    from interp.sources import attribute_sources

    found = attribute_sources(model, asked(model, *explained), _defined(model, methods))
    one = next(iter(found.values()))
    say(f"row {one.rows[0]}: {one.labels[0]} rather than {one.foils[0]}, {float(one.difference[0]):+.3f} logits")
    print_frame("Source words by method", _side_by_side(found))
    for name, answer in found.items():
        if answer.found.source.isnan().any():
            say(f"{name} has no answer: its integral does not come out ({_gap(answer)}).")
        elif answer.found.gap is not None:
            say(f"{name} adds up to the difference but for {_gap(answer)}.")


def _gap(answer: "SourceAttribution") -> str:
    assert answer.found.gap is not None
    return f"a gap of {float(answer.found.gap[0]):.1e} of its parts' size"


def _side_by_side(found: "dict[str, SourceAttribution]") -> "pd.DataFrame":
    """Tokens of both sides, and what belongs to none, by method; empty where a method does not say."""
    table: pd.DataFrame | None = None
    for answer in found.values():
        frame = answer.to_frame().drop(columns=["row", "label"])
        keys = ["side", "position", "token"]
        table = frame if table is None else table.merge(frame, on=keys, how="outer", sort=False)
    assert table is not None
    order = table["side"].map({"source": 0, "target": 1, "beside": 2})
    return (
        table.assign(order=order).sort_values(["order", "position"], kind="stable").drop(columns=["order", "position"])
    )


def _defined(model: "HookedEncoderDecoder", methods: Sequence[str]) -> Sequence[str]:
    """Without those that are not defined for the model, which is said, if all are asked for."""
    from interp.sources import METHODS, methods_of

    if tuple(methods) != tuple(METHODS):
        return methods
    found = methods_of(model.cfg)
    if missing := [name for name in METHODS if name not in found]:
        say(f"Left out, not defined for {model.cfg.model_type}: {', '.join(missing)}.")
    return found


def judge_sources(
    model: "HookedEncoderDecoder",
    prompts: str,
    prefix: str | None,
    limit: int | None,
    methods: Sequence[str],
    seed: int,
    out: Path | None = None,
    name: str = "",
) -> None:
    """Print, and write as a page, how good methods are on the same prompts and on compiled programs of known truth."""
    from analyses.core.effective_n import count_texts
    from analyses.core.keys import keys_of, rows_by_key
    from analyses.core.observing import make_batches, no_progress
    from analyses.logit_attribution.judge_page import fault_sentences, judge_report
    from analyses.runs.inputs import read_prompt_set, reading_order
    from interp.sources import judge_methods
    from interp.sources.recovery import recovery
    from interp.statistics import LEAST

    read = read_prompt_set(prompts, None, prefix=prefix).prompts
    ordered = [read[place] for place in reading_order(read)]
    independent = rows_by_key(keys_of(prompt.sentence for prompt in ordered))
    given = [ordered[rows[0]] for rows in independent[: limit or JUDGED]]
    batches = make_batches(model, given, 1, no_progress)
    fault = count_texts(batches).fault
    questions = [_question(model, batch, seed + place) for place, batch in enumerate(batches)]
    judged = judge_methods(model, questions, _defined(model, methods), seed=seed)
    beside = "95 % intervals" if judged.n_prompts >= LEAST else "ranges"
    print_frame(f"{counted(judged.n_prompts, 'prompt')}, a row of each, with {beside}", _short(judged.to_frame()))
    for sentence in fault_sentences(fault):
        say(sentence)
    say("Good: deletion low, insertion and rank correlation with occlusion high. Occlusion is judged by its own means.")
    recovered = recovery(methods, None, _EXAMPLES, seed)
    print_frame("Rows of compiled programs whose true word comes first", recovered)
    if out is not None:
        write_page(judge_report(judged, recovered, typed_command(), name, page_slug(out), fault), out)


def _short(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Point and interval in one cell."""
    kept = frame[["method"]].copy()
    for name in ("deletion", "insertion", "occlusion"):
        cells = zip(frame[name], frame[f"{name} low"], frame[f"{name} high"], strict=True)
        kept[name] = [f"{point:.2f} ({low:.2f} to {high:.2f})" for point, low, high in cells]
    return kept.assign(answered=frame["answered"])


def _question(model: "HookedEncoderDecoder", batch: "Batch", seed: int) -> "Question":
    """One row of a prompt, drawn from those that are a choice of the model."""
    import numpy as np
    import torch

    from interp.sources import ask

    rows = batch.chosen_mask[0].nonzero().squeeze(-1)
    row = rows[int(np.random.default_rng(seed).integers(len(rows)))]
    return ask(model, batch, torch.stack([row]))
