"""The analysis, as the registry holds it."""

from analyses.circuits.arrays import ARRAYS
from analyses.circuits.experiment import experiment
from analyses.circuits.fitting import fit
from analyses.circuits.observe import observe
from analyses.circuits.section import QUESTION, TITLE, present
from analyses.circuits.settings import CircuitSettings
from analyses.circuits.summary import summarize
from analyses.core.contract import Analysis

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
)
