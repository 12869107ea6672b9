"""The analysis, as the registry holds it."""

from analyses.circuits.arrays import ARRAYS
from analyses.circuits.experiment import experiment
from analyses.circuits.fitting import fit
from analyses.circuits.observe import observe
from analyses.circuits.section import QUESTION, TITLE, present
from analyses.circuits.settings import CircuitSettings
from analyses.circuits.summary import summarize
from analyses.core.contract import Analysis
from interp.circuits.graph import why_no_graph
from interp.families.config import ModelConfig


def why_not(cfg: ModelConfig) -> str | None:
    """Why there are no circuits in models of these facts, naming attributes; None where there are.

    Args:
        cfg: the model's facts.
    """
    why = why_no_graph(cfg)
    return None if why is None else f"circuits need {why}"


ANALYSIS = Analysis(
    name="circuits",
    title=TITLE,
    question=QUESTION,
    hooks=(),
    observe=observe,
    arrays=ARRAYS,
    experiment=experiment,
    summarize=summarize,
    present=present,
    settings=CircuitSettings,
    fit=fit,
    applies=why_not,
)
