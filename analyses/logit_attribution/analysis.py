"""The analysis, as the registry holds it."""

from analyses.core.contract import Analysis
from analyses.logit_attribution.arrays import ARRAYS
from analyses.logit_attribution.assumptions import side_by_side_limits
from analyses.logit_attribution.experiment import experiment
from analyses.logit_attribution.observe import examine, hooks_on, illustrate, observe
from analyses.logit_attribution.prompt_page import prompt_blocks
from analyses.logit_attribution.section import present
from analyses.logit_attribution.settings import AttributionSettings
from analyses.logit_attribution.summary import summarize

ANALYSIS = Analysis(
    name="logit_attribution",
    title="Direct logit attribution",
    question="Which heads and layers wrote the predicted logit, and from which source tokens?",
    hooks=(),
    observe=observe,
    examine=examine,
    arrays=ARRAYS,
    experiment=experiment,
    illustrate=illustrate,
    prompt_page=prompt_blocks,
    summarize=summarize,
    present=present,
    settings=AttributionSettings,
    more_hooks=hooks_on,
    not_comparable=side_by_side_limits,
)
