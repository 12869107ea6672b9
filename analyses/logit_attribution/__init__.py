"""Which heads and layers wrote the predicted logit, and from which source tokens did they take it?

The logit of every label, and its difference to the model's own best other token, is a sum over the decoder's embedding, heads
and MLPs (positions and biases too, where a family has them), and every cross head is a sum over source tokens; nothing is left
over but rounding, which is measured and printed (Elhage et al. 2021; Wang et al. 2022). What is explained is the
direct path: see the section's limits.
"""

from analyses.core.contract import Analysis
from analyses.logit_attribution.arrays import ARRAYS
from analyses.logit_attribution.assumptions import side_by_side_limits
from analyses.logit_attribution.experiment import experiment
from analyses.logit_attribution.observe import examine, hooks_on, illustrate, observe
from analyses.logit_attribution.prompt_page import prompt_blocks
from analyses.logit_attribution.section import present
from analyses.logit_attribution.settings import AttributionSettings
from analyses.logit_attribution.summary import LogitAttribution, summarize

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

__all__ = ["ANALYSIS", "AttributionSettings", "LogitAttribution", "illustrate", "observe", "present", "summarize"]
