"""Two models side by side: what does one do that the other does not, on the same texts?

Each model is run in full, with its own tokenization and its own untrained twins; beside the two runs stands a page with their
findings next to each other and with every number that both give for every sentence, compared sentence by sentence:

    difference = mean over sentences of (second - first),  with a 95 % bootstrap interval over sentences

A number of an analysis has axes such as layer, head and category, whose lengths differ between models; it is averaged over all of
them first, and over the prompts of a sentence. What an analysis declares to be no number (`ArraySpec.content`) is left out. An
interval without 0 says that the two models differ on these texts; so do any two models that learnt nothing. So beside every
difference stand those of untrained twins, one of the first model's from another of the second's. `untrained:SEED` stands for the
first model with weights drawn anew.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from jaxtyping import Int

from analyses.core.contract import Analysis, ArraySpec, Observed
from analyses.core.keys import means_by_key, text_key
from analyses.runs.config import RunConfig
from interp.families.config import ModelConfig
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import Prompt
from interp.report import Block, Card, Links, Paragraph, Report, Section, Table, judge
from interp.report.headline import Sureness
from interp.statistics import bootstrap_difference, controlled, mean_over_prompts
from interp.statistics.estimate import TITLES

PLACES = ("first", "second")
"""Folders of the two full runs."""

Numbers = Mapping[str, np.ndarray]
"""Number -> its value for every sentence."""


@dataclass(frozen=True, slots=True, eq=False)
class ComparedModel:
    """One of the two models.

    Attributes:
        name: what it is called on the page.
        folder: where its full run is, below the comparison's folder.
        model: the hooked model.
        config: the configuration of its run.
        prompts: the prompts as it reads them.
        findings: analysis name -> findings of its run.
        numbers: analysis name -> what its run observed.
        twins: analysis name -> the same of each of its untrained twins.
    """

    name: str
    folder: str
    model: HookedEncoderDecoder
    config: RunConfig
    prompts: tuple[Prompt, ...]
    findings: Mapping[str, Sequence[str]]
    numbers: Mapping[str, Numbers]
    twins: Mapping[str, Sequence[Numbers]]


def without_prefix(prompt: Prompt) -> Prompt:
    """The prompt for a model that knows no task prefixes."""
    return Prompt(prompt.id, prompt.sentence, prompt.target, {**prompt.fields, "prefix": ""})


def as_lines(prompts: Sequence[Prompt]) -> str:
    """Prompts as JSON Lines, as `interp run` reads them."""
    rows = [
        {"id": prompt.id, "source": prompt.source}
        | ({} if prompt.target is None else {"target": prompt.target})
        | dict(prompt.fields)
        for prompt in prompts
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def numbers_by_sentence(
    observed: Observed, specs: Sequence[ArraySpec], order: Sequence[int], rows: list[Int[np.ndarray, " _"]]
) -> Numbers:
    """The numbers of one analysis, all axes but the first averaged, then the prompts of a sentence; undefined cells left out.

    Args:
        observed: what a model gave, prompts in the order of the run.
        specs: what the analysis declares; without any, all arrays are numbers.
        order: place of every prompt of the run among those given (`analyses.runs.inputs.reading_order`).
        rows: of every sentence its prompts among those given (`analyses.core.keys.rows_by_key`).
    """
    given, found = np.argsort(order), {}
    others = {spec.name for spec in specs if spec.stage == "observe" and spec.content != "number"}
    for name, values in observed.prompts.items():
        if name not in others:
            flat = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
            defined = np.isfinite(flat)
            total, count = np.where(defined, flat, 0.0).sum(1), defined.sum(1)
            means = np.divide(total, count, out=np.full(len(flat), np.nan), where=count > 0)
            found[name] = means_by_key(means[given], rows)
    return found


def differences(
    one: Numbers,
    two: Numbers,
    names: tuple[str, str],
    seed: int,
    twins: tuple[Sequence[Numbers], Sequence[Numbers]] = ((), ()),
) -> pd.DataFrame:
    """Every number that both models give on the same sentences: its means, the difference, its interval and controls, by name.

    Args:
        one: numbers of the first model.
        two: of the second.
        names: what the models are called.
        seed: of resampling.
        twins: numbers of the untrained twins of the first and of the second, equally many. Twins of one place are drawn by one
            seed and may be one model, so every twin is taken from that of the next place.
    """
    rows = []
    for name in sorted(set(one) & set(two)):
        both = np.isfinite(one[name]) & np.isfinite(two[name])
        # What is equal to the last digit for every sentence is a fact of the texts and not of the models.
        if both.sum() < 2 or np.array_equal(one[name][both], two[name][both]):
            continue
        interval = bootstrap_difference(two[name][both], one[name][both], seed)
        pairs = zip(twins[0], [*twins[1][1:], *twins[1][:1]], strict=True)
        found = controlled(interval, [float(mean_over_prompts(last[name] - first[name])) for first, last in pairs])
        rows.append({
            "number": name,
            names[0]: float(one[name][both].mean()),
            names[1]: float(two[name][both].mean()),
            **found.columns("difference", ""),
            "apart": "yes" if found.low > 0 or found.high < 0 else "no",
            "beyond twins": _BEYOND[judge(found)],
            "sentences": int(both.sum()),
        })
    titles = ["difference", *TITLES]
    return pd.DataFrame(rows, columns=["number", *names, *titles, "apart", "beyond twins", "sentences"])


_BEYOND: Mapping[Sureness, str] = {"beyond all controls": "yes", "within the controls": "no", "not judged": ""}


def comparison_report(first: ComparedModel, second: ComparedModel, analyses: Sequence[Analysis]) -> Report:
    """The page of the comparison: the models, then every analysis of both runs."""
    sections = (_models(first, second), *(_section(analysis, first, second) for analysis in analyses))
    return Report(
        title=f"{first.name} and {second.name} side by side",
        question="What does one model do on these texts that the other does not?",
        findings=tuple(f"{section.title}: {section.findings[0]}" for section in sections),
        command=first.config.command("compare-models", first.name, second.name),
        sections=sections,
        provenance=(
            ("First model", f"{first.name}: {first.folder}/manifest.json"),
            ("Second model", f"{second.name}: {second.folder}/manifest.json"),
            ("sha256 of the texts", text_key(as_lines(first.prompts))),
            ("Seed", str(first.config.seed)),
        ),
        notes=(
            "Each model reads the same texts with its own tokenizer and predicts the given targets (its own if none).",
            "Differences are second minus first, paired by sentence; [low, high] is a 95 % bootstrap interval over sentences: "
            "prompts of one sentence, under several task prefixes or given twice, are averaged first.",
        ),
    )


def _models(first: ComparedModel, second: ComparedModel) -> Section:
    facts = [("parameters", first.model.hf.num_parameters(), second.model.hf.num_parameters())]
    facts += [
        (field.name, *(getattr(one.model.cfg, field.name) for one in (first, second))) for field in fields(ModelConfig)
    ]
    rows = [(name, str(one), str(two), "yes" if one == two else "no") for name, one, two in facts]
    differ = [name for name, *_, same in rows if same == "no"]
    said = (
        f"they differ in {len(differ)} facts: {', '.join(differ[:8])}" if differ else "they have the same architecture"
    )
    links = tuple((f"{one.folder}/index.html", f"The full report of {one.name}") for one in (first, second))
    frame = pd.DataFrame(rows, columns=["attribute", first.name, second.name, "same"])
    return Section(
        name="models",
        title="The models",
        question="Which two models are compared, and what do they read?",
        findings=(f"{first.name} against {second.name}; {said}.", *(_reading(one) for one in (first, second))),
        blocks=(
            Card("full-reports", "Links to the full reports of both models", (Links(links),)),
            Table("model-facts", "Every fact of both models; same says whether they agree.", frame, rows_shown=None),
        ),
        limits=("Two models differ in many things at once: a difference below has no single cause.",),
    )


def _reading(one: ComparedModel) -> str:
    count, cfg = len(one.prompts), one.model.cfg
    if cfg.reads_prefixes:
        return f"{one.name} reads {count} prompts as they are, with their task prefixes."
    return f"{one.name} knows no task prefixes (positions={cfg.positions!r}): its {count} prompts are read without."


def _section(analysis: Analysis, first: ComparedModel, second: ComparedModel) -> Section:
    """One analysis: the findings of both next to each other, then the differences of their numbers."""
    name, slug = analysis.name, analysis.name.replace("_", "-")
    one, two = first.numbers.get(name, {}), second.numbers.get(name, {})
    twins = first.twins.get(name, ()), second.twins.get(name, ())
    frame = differences(one, two, (first.name, second.name), first.config.seed, twins)
    findings = {of.name: pd.Series(of.findings.get(name, ()), dtype=object) for of in (first, second)}
    blocks: list[Block] = [
        Table(
            f"{slug}-findings",
            "The findings of both reports, next to each other.",
            pd.DataFrame(findings).fillna(""),
            rows_shown=None,
        )
    ]
    if frame.empty:
        lead = "No number is given by both models; their findings stand below."
        blocks.append(Paragraph("There is nothing to subtract: one of the models does not allow this analysis."))
    else:
        apart = (frame["apart"] == "yes").sum()
        beyond = (frame["beyond twins"] == "yes").sum()
        lead = (
            f"{beyond} of {len(frame)} numbers that both models give lie further apart than those of two untrained models of "
            f"these shapes may; the interval of {apart} is without 0, which two models that learnt nothing have as well."
        )
        units = {spec.name: spec.unit for spec in analysis.arrays if spec.stage == "observe"}
        frame.insert(1, "unit", [units.get(number, "") for number in frame["number"]])
        caption = (
            "Numbers of both models, averaged over layers, heads and categories within each prompt and then over sentences; the "
            "difference is second minus first. Apart: its interval is without 0. Twins: the differences of untrained twins of "
            "both; beyond twins: the whole interval lies outside whatever two more of them may have."
        )
        blocks.append(Table(f"{slug}-numbers", caption, frame, rows_shown=None))
    return Section(
        name=slug,
        title=analysis.title,
        question=analysis.question,
        findings=(lead,),
        blocks=tuple(blocks),
        limits=(
            "Averages over layers and heads hide which of them differ; the full reports show each.",
            "Heads and layers of two models do not correspond by their numbers, so they are not subtracted one by one.",
            *analysis.not_comparable(first.model.cfg, second.model.cfg),
        ),
    )
