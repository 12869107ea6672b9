"""Composition of heads as a section: what stands out as a graph, all pairs as a matrix, output spaces, shares of writes."""

from dataclasses import dataclass

import pandas as pd
import torch

from analyses.weights.composition_graph import graph_blocks
from interp.circuits.composition import SLOTS, Compositions, compositions
from interp.circuits.output_spaces import WRITE_HOOKS, output_angles, write_shares
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.report import Figure, Heatmap, Panel, Section, Table
from interp.report.numbers import counted, number
from interp.text.batch import Batch

_INPUTS = {"q": "queries", "k": "keys", "v": "values"}


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What is shown of one model.

    Attributes:
        found: composition of all pairs of heads.
        twin: the same of an untrained twin.
        angles: of the output spaces of the heads of every layer.
        shares: of every layer's write, over prompts.
        n_prompts: prompts of the shares.
    """

    found: Compositions
    twin: Compositions
    angles: pd.DataFrame
    shares: pd.DataFrame
    n_prompts: int

    def summary(self) -> pd.DataFrame:
        """One row an input: pairs with a path, how many stand out, the largest z, and the same of the twin."""
        rows = []
        for slot in SLOTS:
            cells: list[object] = [_INPUTS[slot]]
            for one in (self.found, self.twin):
                own = one.frame[(one.frame["input"] == slot) & one.frame["path"]]
                out = one.standing_out()
                cells += [len(own), int((out["input"] == slot).sum()), float(own["z"].max())]
            rows.append((*cells[:4], *cells[5:]))
        return pd.DataFrame(
            rows, columns=["input", "pairs", "stand out", "largest z", "twin: stand out", "twin: largest z"]
        )


def survey_composition(model: HookedEncoderDecoder, batch: Batch, seed: int = 0) -> Survey:
    """All that the section shows.

    Args:
        model: a model of any family.
        batch: prompts for the shares.
        seed: of the twin.
    """
    with torch.no_grad():
        _, cache = model.run_with_cache(batch, WRITE_HOOKS)
    shares = write_shares(model, cache, batch)
    layers = shares[["kind", "layer"]].drop_duplicates().itertuples(index=False, name=None)
    angles = pd.concat([output_angles(model, kind, layer) for kind, layer in layers], ignore_index=True)
    twin = compositions(untrained_twin(model, seed))
    return Survey(compositions(model), twin, angles, shares, len(batch))


def composition_section(survey: Survey, name: str = "composition") -> Section:
    """The section.

    Args:
        survey: what was found.
        name: slug with which the names of its blocks begin.
    """
    summary, out = survey.summary(), survey.found.standing_out()
    strongest = (out if len(out) else survey.found.frame[survey.found.frame["path"]]).iloc[0]
    findings = (
        f"Pairs of heads that compose beyond all pairs without a path: {len(out)} of {int(summary['pairs'].sum()):,}, where "
        f"{number(survey.found.expected_by_chance)} would by chance; in an untrained twin "
        f"{int(summary['twin: stand out'].sum())}.",
        f"The strongest: the {_INPUTS[strongest['input']]} of {strongest['second']} read {strongest['first']} "
        f"(z {number(float(strongest['z']))}).",
        _same_space(survey.angles),
    )
    frame = survey.found.frame
    return Section(
        name=name,
        title="Which heads read which",
        question="Does what one head writes reach what another asks, offers or copies?",
        findings=findings,
        blocks=(
            *graph_blocks(survey.found, name),
            _matrix(survey.found, name),
            Table(f"{name}-summary", "Pairs by input, against an untrained twin.", summary, opened=True),
            Table(f"{name}-standing-out", "The pairs that stand out, the largest z first.", out),
            Table(f"{name}-pairs", "All pairs, those without a path too, the largest z first.", frame),
            Table(
                f"{name}-angles",
                "Output spaces of the heads of a layer: principal angles in degrees, and overlap, the mean squared cosine.",
                survey.angles.sort_values("overlap", ascending=False, kind="stable").reset_index(drop=True),
            ),
            Table(
                f"{name}-shares",
                f"Shares of what a layer's heads write together, over {counted(survey.n_prompts, 'prompt')}; "
                f"below 0: against the others.",
                survey.shares,
            ),
        ),
        limits=(
            "Composition is about weights: a pair that could compose need not, where attention patterns keep them apart.",
            "MLPs between two heads are not looked through.",
        ),
        methods=(
            "Composition (Elhage et al. 2021) with gains of norms folded in, its square as z against matrices of the same "
            "singular values turned at random; a pair stands out if its z is beyond that of every pair "
            "without a path that is read by the same input.",
        ),
        cites=("elhage2021",),
    )


def _same_space(angles: pd.DataFrame) -> str:
    """The finding about heads of one layer; a model may have one head a layer."""
    if angles.empty:
        return "No layer has two heads, whose output spaces could be compared."
    nearest = angles.iloc[int(angles["overlap"].to_numpy().argmax())]
    return (
        f"Of heads of one layer {nearest['first']} and {nearest['second']} write most into the same space: overlap "
        f"{number(float(nearest['overlap']))}, where random spaces have {number(float(nearest['random']))}."
    )


def _matrix(found: Compositions, name: str) -> Figure:
    labels = tuple(map(str, found.heads))
    path = found.frame[found.frame["path"]]
    top = path.iloc[0]
    return Figure(
        name=f"{name}-matrix",
        caption=(
            "Composition of every pair of heads as z against random matrices of the same singular values: columns write, rows "
            "read by their queries, keys or values. Crosses: the reader comes too early to read the writer."
        ),
        alt=(
            f"Three heatmaps of {len(labels)} by {len(labels)} heads; the largest z is {number(float(top['z']))}, "
            f"{top['second']} reading {top['first']} by its {_INPUTS[top['input']]}."
        ),
        chart=Heatmap(
            tuple(
                Panel(f"read by {_INPUTS[slot]}", found.matrix(slot), labels, labels, "reading head", "writing head")
                for slot in SLOTS
            ),
            "z of squared composition",
            center=0.0,
        ),
    )
