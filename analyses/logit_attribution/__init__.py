"""Which heads and layers wrote the predicted logit, and from which source tokens did they take it?

The logit of every label, and its difference to the model's own best other token, is a sum over the decoder's embedding, heads
and MLPs, and every cross head is a sum over source tokens; nothing is left over but rounding, which is measured and printed
(methods C; Elhage et al. 2021; Wang et al. 2022). What is explained is the direct path: see the section's limits.
"""

from analyses._contract import Analysis, in_t5_shapes
from analyses.logit_attribution.experiment import experiment
from analyses.logit_attribution.observe import HOOKS, illustrate, observe
from analyses.logit_attribution.portrait import portray
from analyses.logit_attribution.section import present
from analyses.logit_attribution.settings import AttributionSettings
from analyses.logit_attribution.summary import LogitAttribution, summarise

ANALYSIS = Analysis(
    name="logit_attribution",
    title="Direct logit attribution",
    question="Which heads and layers wrote the predicted logit, and from which source tokens?",
    hooks=HOOKS,
    observe=observe,
    experiment=experiment,
    illustrate=illustrate,
    portray=portray,
    summarise=summarise,
    present=present,
    settings=AttributionSettings,
    applies=in_t5_shapes,
)

__all__ = ["ANALYSIS", "AttributionSettings", "LogitAttribution", "illustrate", "observe", "present", "summarise"]
