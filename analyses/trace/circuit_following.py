"""Circuits at every moment, on the same minimal pairs: those that the last moment of the main run can tell apart.

The pairs fall into halves, as wherever a circuit is sought (`interp.circuits.search`). The last moment's circuit is found on the
second half, once; it and its scores are what all moments are held against. At a moment

    scores     of all edges, on the first half
    own        the circuit of the best edges by these scores, as many as the last one has; judged on the second half
    needed     edges of the smallest circuit that keeps enough, on the first half
    last       what the last moment's circuit keeps here, and random circuits of its size beside it; on the first half

so that what is compared was never found on the same pairs, at the last moment too: as far as that agrees with itself, so far can
any. A moment whose answers do not turn on the corruption (as `interp.circuits.usable_pairs` asks, of means) has nothing to keep.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from analyses.circuits.fitting import fit, prompt_pairs
from analyses.circuits.settings import CircuitSettings, FittedSettings
from analyses.circuits.summary import NoCircuit
from analyses.core.contract import Arrays
from analyses.core.observing import ConfiguredAnalysis
from interp.circuits import Circuit, EdgeScores, Judge, choose, score_in_batches, smallest_circuit
from interp.circuits.pairs import LEAST_LEAD, batch_of, halves, leads
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching import PromptPair

CIRCUITS = "circuits"
"""The analysis, and the name of its shard at every moment."""

DRAWS = 10
"""Random circuits at every moment; settings may ask for fewer."""

_SEED = 0
_BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class Following:
    """What is asked of every moment.

    Attributes:
        settings: as they are used.
        pairs: the pairs.
        last: the last moment's circuit.
        worth: of every edge at the last moment, on the pairs of `last`.
    """

    settings: CircuitSettings
    pairs: tuple[PromptPair, ...]
    last: Circuit
    worth: np.ndarray

    def at(self, model: HookedEncoderDecoder) -> Arrays:
        """The numbers of one moment.

        Args:
            model: the model of that moment.

        Returns:
            `clean`, `corrupted` [pair], the answer's lead on both sides; `worth` [edge] and `own` [edge], the circuit; `needed`
            [one], NaN where the answers do not turn on the corruption; `own_kept`, `own_whole` [judged pair] and `last_kept`,
            `last_whole` [found pair], metrics less those with every edge corrupted; `random` [draw], shares; `answers` [one].
        """
        both = np.array(leads(model, self.pairs))
        answers = bool(both[:, 0].mean() > LEAST_LEAD and (both[:, 0] - both[:, 1]).mean() > 2 * LEAST_LEAD)
        scores = _scores(model, halves(self.pairs)[0], self.settings)
        own = choose(scores.graph, scores.worth, len(self.last), "greedy", absolute=False)
        found: dict[str, np.ndarray] = {
            "clean": both[:, 0],
            "corrupted": both[:, 1],
            "answers": np.array([float(answers)]),
            "worth": scores.worth.double().cpu().numpy(),
            "own": own.kept.numpy().astype(np.float64),
        }
        return found | self._kept(model, scores, own, answers)

    def _kept(
        self, model: HookedEncoderDecoder, scores: EdgeScores, own: Circuit, answers: bool
    ) -> dict[str, np.ndarray]:
        """What circuits keep; NaN where there is nothing to keep."""
        found_on, judged_on = halves(self.pairs)
        draws = min(self.settings.draws, DRAWS)
        blank = {name: np.full(len(found_on), np.nan) for name in ("last_kept", "last_whole")}
        blank |= {name: np.full(len(judged_on), np.nan) for name in ("own_kept", "own_whole")}
        blank |= {"needed": np.full(1, np.nan), "random": np.full(draws, np.nan)}
        if not answers:
            return blank
        try:
            finder, judge = (_judge(model, half, self.settings) for half in (found_on, judged_on))
        except InputError:  # one half's metric does not change though the mean of both does
            return blank
        return {
            "own_kept": _numbers(judge.measure(own) - judge.empty),
            "own_whole": _numbers(judge.whole - judge.empty),
            "last_kept": _numbers(finder.measure(self.last) - finder.empty),
            "last_whole": _numbers(finder.whole - finder.empty),
            "needed": np.array([float(len(smallest_circuit(finder, scores, self.settings.keeps)))]),
            "random": finder.null(self.last, draws, _SEED, "size").double().numpy(),
        }


def follow_circuits(model: HookedEncoderDecoder, item: ConfiguredAnalysis) -> Following | NoCircuit:
    """What is asked of every moment, or why nothing can be.

    Args:
        model: that of the last moment.
        item: the analysis of circuits, as the user set it.

    Raises:
        InputError: if no pair is of the kind asked for.
    """
    why = item.analysis.applies(model.cfg)
    if why is not None:
        return NoCircuit(f"No circuit was sought. {why[:1].upper()}{why[1:]}.")
    assert isinstance(item.settings, CircuitSettings)
    with item.named():
        settings = fit(model, (), item.settings)
    assert isinstance(settings, FittedSettings)
    pairs = prompt_pairs(settings)
    if not pairs:
        return NoCircuit(settings.lacking)
    other = halves(pairs)[1]
    scores = _scores(model, other, settings)
    last = smallest_circuit(_judge(model, other, settings), scores, settings.keeps)
    return Following(settings, pairs, last, scores.worth.double().cpu().numpy())


def _scores(model: HookedEncoderDecoder, pairs: Sequence[PromptPair], settings: CircuitSettings) -> EdgeScores:
    return score_in_batches(model, pairs, settings.method, settings.metric, _BATCH)


def _judge(model: HookedEncoderDecoder, pairs: Sequence[PromptPair], settings: CircuitSettings) -> Judge:
    return Judge.of(model, batch_of(model, pairs), settings.metric)


def _numbers(values: torch.Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()
