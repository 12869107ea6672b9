"""From arrays to a circuit with its evidence."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float

from analyses.circuits.arrays import SELECTIONS
from analyses.circuits.fitting import prompt_pairs
from analyses.circuits.settings import CircuitSettings, FittedSettings
from analyses.core.contract import Arrays, Evidence
from interp.circuits import SHARES, Circuit, Comparison, Curve, Edge, compare, graph_of
from interp.circuits.pairs import halves
from interp.families.config import ModelConfig
from interp.patching import PromptPair
from interp.statistics import Estimate, bootstrap_ratio, controlled, estimate_mean, falling_order


@dataclass(frozen=True, slots=True, eq=False)
class NoCircuit:
    """No circuit can be sought for the model.

    Attributes:
        reason: why, as a sentence.
    """

    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class ExactCheck:
    """Scores beside exact patching, on a sample of edges.

    Attributes:
        numbers: the edges, by their numbers in the graph.
        scores: their scores, means over pairs.
        exact: what corrupting them in the clean run does.
        restored: what the corrupted run lacks for want of them.
        rank: correlation of scores and `exact`: point, low, high.
        both: of scores and the mean of `exact` and `restored`.
        error: distance of scores from `exact`, over the size of that.
    """

    numbers: tuple[int, ...]
    scores: Float[np.ndarray, " sampled"]
    exact: Float[np.ndarray, " sampled"]
    restored: Float[np.ndarray, " sampled"]
    rank: tuple[float, float, float]
    both: tuple[float, float, float]
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class Needed:
    """How much single edges matter, as shares of the metric, where they matter most.

    Attributes:
        numbers: edges of the circuit, by their numbers in the graph.
        values: of each, taken out of the circuit or out of what random halves leave of it.
        lacking: edges between its nodes that the circuit lacks.
        controls: of each of them, put in.
    """

    numbers: tuple[int, ...]
    values: Float[np.ndarray, " edge"]
    lacking: tuple[int, ...]
    controls: Float[np.ndarray, " other"]


@dataclass(frozen=True, slots=True, eq=False)
class TwinCircuit:
    """What the same method finds in an untrained twin.

    Attributes:
        shared: its circuit beside the model's.
        judged: what its circuit keeps on the other pairs.
        curves: faithfulness over size, by selection.
    """

    shared: Comparison
    judged: float
    curves: dict[str, Curve]


@dataclass(frozen=True, slots=True, eq=False)
class AnswerCircuit:
    """The circuit of an answer.

    Attributes:
        cfg: the model's facts.
        settings: as they were used.
        circuit: the circuit.
        numbers: its edges by their numbers in the graph, the largest score first.
        effects: what corrupting each of them does, as estimated, over the pairs that it was found on; controls of the twin.
        weights: how strongly the weights of their ends compose; NaN where that is not defined.
        kept: faithfulness on these pairs.
        judged: faithfulness on the other pairs, over them; controls are all random circuits and the twin's.
        lead: the whole metric's mean on the other pairs, with every edge clean less with every edge corrupted.
        same_size: faithfulness of random circuits.
        same_degree: the same of those with its degrees.
        completeness: how far circuit and model are apart with random halves of the circuit knocked out of both.
        needed: how much single edges matter; None where none was asked about.
        curves: faithfulness over size, by selection.
        twin: the control; None in a run without.
        check: scores beside exact patching; None where no edge was sampled.
        steps: gradients averaged; 0 where none was.
        found_on: the pairs that it was found on.
        judged_on: the other pairs.
    """

    cfg: ModelConfig
    settings: CircuitSettings
    circuit: Circuit
    numbers: tuple[int, ...]
    effects: Estimate
    weights: Float[np.ndarray, " edge"]
    kept: float
    judged: Estimate
    lead: float
    same_size: Float[np.ndarray, " draw"]
    same_degree: Float[np.ndarray, " draw"]
    completeness: Float[np.ndarray, " part"]
    needed: Needed | None
    curves: dict[str, Curve]
    twin: TwinCircuit | None
    check: ExactCheck | None
    steps: int
    found_on: tuple[PromptPair, ...]
    judged_on: tuple[PromptPair, ...]
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Its edges, the largest score first."""
        return tuple(self.circuit.graph.edges[number] for number in self.numbers)

    @property
    def held_out(self) -> bool:
        """Whether it is judged on other pairs than its own, of which there may be too few for two halves."""
        return self.judged_on != self.found_on

    @property
    def judge_name(self) -> str:
        """The pairs it is judged on, in words."""
        return f"{len(self.judged_on)} other pairs" if self.held_out else "the same pairs"

    @property
    def unit(self) -> str:
        """Of the metric."""
        return "nats" if self.settings.metric == "kl" else "logits"

    @property
    def sign(self) -> int:
        """-1 where an edge that the answer needs has an effect below 0."""
        return 1 if self.settings.metric == "kl" else -1


def summarize(evidence: Evidence) -> AnswerCircuit | NoCircuit:
    """The circuit of one run.

    Args:
        evidence: of the model and its twins.
    """
    settings = evidence.settings
    assert isinstance(settings, CircuitSettings)
    arrays = evidence.model.experiment
    if not arrays:
        assert isinstance(settings, FittedSettings)
        return NoCircuit(settings.lacking)
    twins = [twin.experiment for twin in evidence.twins if twin.experiment]
    return circuit_of(evidence.cfg, settings, arrays, twins, evidence.seed)


def circuit_of(
    cfg: ModelConfig, settings: CircuitSettings, arrays: Arrays, twins: list[Arrays], seed: int
) -> AnswerCircuit:
    """The circuit of arrays.

    Args:
        cfg: the model's facts.
        settings: as they were used.
        arrays: of the experiment on the model.
        twins: of the experiment on a twin, or none.
        seed: for resampling.
    """
    graph = graph_of(cfg)
    circuit = Circuit(graph, torch.from_numpy(arrays["circuit"].astype(bool)))
    own = circuit.kept.numpy().nonzero()[0]
    order = falling_order(np.abs(arrays["scores"][:, own].mean(0)))
    numbers = own[order]
    twin = _twin(circuit, twins[0]) if twins else None
    found_on, judged_on = halves(prompt_pairs(settings))
    kept_of_lead = arrays["alone"] - arrays["empty"], arrays["whole"] - arrays["empty"]
    random = [*arrays["same_size"].tolist(), *arrays["same_degree"].tolist()]
    return AnswerCircuit(
        cfg=cfg,
        settings=settings,
        circuit=circuit,
        numbers=tuple(numbers.tolist()),
        effects=estimate_mean(arrays["scores"][:, numbers], [one["scores"][:, numbers] for one in twins], seed),
        weights=arrays["weights"][order],
        kept=float(arrays["kept"][0]),
        judged=controlled(
            bootstrap_ratio(*kept_of_lead, seed), [*random, *([twin.judged] if twin is not None else [])]
        ),
        lead=float(kept_of_lead[1].mean()),
        same_size=arrays["same_size"],
        same_degree=arrays["same_degree"],
        completeness=arrays["completeness"],
        needed=_needed(arrays),
        curves=_curves(arrays),
        twin=twin,
        check=_check(arrays),
        steps=int(arrays["steps"][0]),
        found_on=found_on,
        judged_on=judged_on,
        refused=settings.refused if isinstance(settings, FittedSettings) else {},
    )


def _curves(arrays: Arrays) -> dict[str, Curve]:
    return {
        name: Curve(SHARES, tuple(arrays["sizes"][place].tolist()), tuple(arrays["faithfulness"][place].tolist()))
        for place, name in enumerate(SELECTIONS)
    }


def _twin(circuit: Circuit, arrays: Arrays) -> TwinCircuit:
    own = Circuit(circuit.graph, torch.from_numpy(arrays["circuit"].astype(bool)))
    alone, whole, empty = (float(arrays[name].mean()) for name in ("alone", "whole", "empty"))
    return TwinCircuit(compare(circuit, own), (alone - empty) / (whole - empty), _curves(arrays))


def _needed(arrays: Arrays) -> Needed | None:
    if "needed" not in arrays:
        return None
    numbers, lacking = (tuple(arrays[name].tolist()) for name in ("needed", "lacking"))
    return Needed(numbers, arrays["minimality"], lacking, arrays["minimality_outside"])


def _check(arrays: Arrays) -> ExactCheck | None:
    if "sampled" not in arrays:
        return None
    numbers = arrays["sampled"]

    def bounds(name: str) -> tuple[float, float, float]:
        point, low, high = map(float, arrays[name])
        return point, low, high

    return ExactCheck(
        numbers=tuple(numbers.tolist()),
        scores=arrays["scores"][:, numbers].mean(0),
        exact=arrays["exact"].mean(0),
        restored=arrays["restored"].mean(0),
        rank=bounds("rank"),
        both=bounds("rank_of_both"),
        error=float(arrays["error"][0]),
    )
