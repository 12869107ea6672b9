"""Two models side by side: what does one do that the other does not, on the same texts?

Each model is run in full, with its own tokenisation and its own untrained twins; beside the two runs stands a page with their
findings next to each other and with every number that both give for every prompt, compared prompt by prompt:

    difference = mean over prompts of (second - first),  with a 95 % bootstrap interval over prompts

A number of an analysis has axes such as layer, head and category, whose lengths differ between models; it is averaged over all of
them first. An interval without 0 says that the two models differ on these texts; it does not say why. `untrained:SEED` stands for
the first model with weights drawn anew.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256

import numpy as np
import pandas as pd

from analyses.core.contract import Observed
from analyses.runs.config import RunConfig
from analyses.runs.inputs import choose_analyses
from interp.families.config import ModelConfig
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import Prompt
from interp.report import Block, Card, Links, Paragraph, Report, Section, Table
from interp.statistics import bootstrap_difference

FIRST, SECOND = "first", "second"

Numbers = Mapping[str, Mapping[str, np.ndarray]]
"""Analysis name -> number -> its value for every prompt."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of the two models.

    Attributes:
        name: what it is called on the page.
        folder: where its full run is, below the comparison's folder.
        model: the hooked model.
        config: the configuration of its run.
        prompts: the prompts as it reads them.
        findings: analysis name -> findings of its run.
        numbers: what its run observed.
    """

    name: str
    folder: str
    model: HookedEncoderDecoder
    config: RunConfig
    prompts: tuple[Prompt, ...]
    findings: Mapping[str, Sequence[str]]
    numbers: Numbers


def without_prefix(prompt: Prompt) -> Prompt:
    """The prompt for a model that knows no task prefixes."""
    bare = {name: value for name, value in prompt.fields.items() if name != "prefix"}
    return Prompt(prompt.id, prompt.sentence, prompt.target, {**bare, "prefix": ""})


def as_lines(prompts: Sequence[Prompt]) -> str:
    """Prompts as JSON Lines, as `interp run` reads them."""
    rows = [
        {
            "id": prompt.id,
            "source": prompt.source,
            **({} if prompt.target is None else {"target": prompt.target}),
            **prompt.fields,
        }
        for prompt in prompts
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def numbers(observed: Mapping[str, Observed], order: Sequence[int]) -> Numbers:
    """What a run observed, axes of layer and head averaged, prompts as they were given.

    Args:
        observed: analysis name -> what the model gave, prompts in the order of the run.
        order: place of every prompt of the run among those given (`analyses.runs.inputs.reading_order`).
    """
    given = np.argsort(order)
    return {
        name: {
            key: _mean(np.asarray(values, dtype=np.float64))[given] for key, values in observed[name].prompts.items()
        }
        for name in observed
    }


def _mean(values: np.ndarray) -> np.ndarray:
    """Over all axes but the prompt's, undefined cells left out; NaN where none is defined."""
    flat = values.reshape(len(values), -1)
    defined = np.isfinite(flat)
    count = defined.sum(1)
    total = np.where(defined, flat, 0.0).sum(1)
    means: np.ndarray = np.divide(total, count, out=np.full(len(flat), np.nan), where=count > 0)
    return means


def compared(
    one: Mapping[str, np.ndarray], two: Mapping[str, np.ndarray], names: tuple[str, str], seed: int
) -> pd.DataFrame:
    """Every number that both models give: its means, the difference and its interval, by the size of the difference.

    Args:
        one: number -> value for every prompt, of the first model.
        two: the same of the second, prompts in the same order.
        names: of the two models.
        seed: of resampling.
    """
    rows = []
    for name in sorted(set(one) & set(two)):
        if name.endswith((
            ".text",
            "gap",
        )):  # a checksum that tells texts apart, or the rounding of a sum: no number of a model
            continue
        both = np.isfinite(one[name]) & np.isfinite(two[name])
        # What is equal to the last digit for every prompt is a fact of the texts and not of the models.
        if both.sum() < 2 or np.array_equal(one[name][both], two[name][both]):
            continue
        interval = bootstrap_difference(two[name][both], one[name][both], seed)
        low, high = float(interval.low), float(interval.high)
        rows.append({
            "number": name,
            names[0]: float(one[name][both].mean()),
            names[1]: float(two[name][both].mean()),
            "difference": float(interval.point),
            "low": low,
            "high": high,
            "apart": "yes" if low > 0 or high < 0 else "no",
            "prompts": int(both.sum()),
        })
    columns = ["number", *names, "difference", "low", "high", "apart", "prompts"]
    return pd.DataFrame(rows, columns=columns)


def facts(first: Side, second: Side) -> pd.DataFrame:
    """What the two models are, attribute by attribute."""
    rows = [("parameters", first.model.hf.num_parameters(), second.model.hf.num_parameters())]
    rows += [
        (field.name, getattr(first.model.cfg, field.name), getattr(second.model.cfg, field.name))
        for field in fields(ModelConfig)
    ]
    texts = [(name, str(one), str(two), "yes" if one == two else "no") for name, one, two in rows]
    return pd.DataFrame(texts, columns=["attribute", first.name, second.name, "same"])


def side_by_side(first: Side, second: Side, titles: Mapping[str, tuple[str, str]]) -> Report:
    """The page of the comparison.

    Args:
        first: a model.
        second: the other.
        titles: analysis name -> title and question.
    """
    names = (first.name, second.name)
    sections = [_models(first, second)]
    chosen = {item.analysis.name: item.analysis for item in choose_analyses(first.config)}
    for name, (title, question) in titles.items():
        frame = compared(first.numbers.get(name, {}), second.numbers.get(name, {}), names, first.config.seed)
        limits = chosen[name].beside(first.model.cfg, second.model.cfg)
        sections.append(_section(name, title, question, first, second, frame, limits))
    return Report(
        title=f"{first.name} and {second.name} side by side",
        question="What does one model do on these texts that the other does not?",
        findings=tuple(f"{section.title}: {section.findings[0]}" for section in sections),
        command=_command(first, second),
        sections=tuple(sections),
        provenance=(
            ("First model", f"{first.name}: {first.folder}/manifest.json"),
            ("Second model", f"{second.name}: {second.folder}/manifest.json"),
            ("sha256 of the texts", sha256(as_lines(first.prompts).encode()).hexdigest()),
            ("Seed", str(first.config.seed)),
        ),
        notes=(
            "Each model reads the same texts with its own tokenizer and predicts the given targets (its own if none).",
            "Differences are second minus first, paired by prompt; [low, high] is a 95 % bootstrap interval over prompts.",
        ),
    )


def _command(first: Side, second: Side) -> str:
    data = first.config.portable()
    return (
        f"interp compare-models {first.name} {second.name} --prompts {data['prompts']} --analyses "
        f"{','.join(first.config.analyses)} --seed {first.config.seed} --twins {first.config.twins}"
    )


def _models(first: Side, second: Side) -> Section:
    frame = facts(first, second)
    differ = frame.loc[frame["same"] == "no", "attribute"].tolist()
    said = (
        f"they differ in {len(differ)} facts: {', '.join(differ[:8])}" if differ else "they have the same architecture"
    )
    links = tuple((f"{side.folder}/index.html", f"The full report of {side.name}") for side in (first, second))
    return Section(
        name="models",
        title="The models",
        question="Which two models are compared, and what do they read?",
        findings=(f"{first.name} against {second.name}; {said}.", *(_reading(side) for side in (first, second))),
        blocks=(
            Card("full-reports", "Links to the full reports of both models", (Links(links),)),
            Table("model-facts", "Every fact of both models; same says whether they agree.", frame, rows_shown=None),
        ),
        limits=("Two models differ in many things at once: a difference below has no single cause.",),
    )


def _reading(side: Side) -> str:
    count = len(side.prompts)
    if side.model.cfg.reads_prefixes:
        return f"{side.name} reads {count} prompts as they are, with their task prefixes."
    return f"{side.name} knows no task prefixes (positions={side.model.cfg.positions!r}): its {count} prompts are read without."


def _section(
    name: str, title: str, question: str, first: Side, second: Side, frame: pd.DataFrame, limits: tuple[str, ...]
) -> Section:
    slug = name.replace("_", "-")
    apart = frame[frame["apart"] == "yes"]
    if frame.empty:
        lead = "no number is given by both models; their findings stand below."
    else:
        lead = f"{len(apart)} of {len(frame)} numbers that both models give lie apart (interval without 0)."
    pairs = [side.findings.get(name, ()) for side in (first, second)]
    length = max(map(len, pairs))
    padded = [[*found, *[""] * (length - len(found))] for found in pairs]
    blocks: list[Block] = [
        Table(
            f"{slug}-findings",
            "The findings of both reports, next to each other.",
            pd.DataFrame(dict(zip((first.name, second.name), padded, strict=True))),
            rows_shown=None,
        )
    ]
    if frame.empty:
        blocks.append(Paragraph("There is nothing to subtract: one of the models does not allow this analysis."))
    else:
        caption = (
            "Numbers of both models, averaged over layers, heads and categories within each prompt and then over prompts; the "
            "difference is second minus first."
        )
        blocks.append(Table(f"{slug}-numbers", caption, frame, rows_shown=None, sortable=True))
    return Section(
        name=slug,
        title=title,
        question=question,
        findings=(lead[0].upper() + lead[1:],),
        blocks=tuple(blocks),
        limits=(
            "Averages over layers and heads hide which of them differ; the full reports show each.",
            "Heads and layers of two models do not correspond by their numbers, so they are not subtracted one by one.",
            *limits,
        ),
    )
