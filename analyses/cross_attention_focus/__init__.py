"""What does the decoder read in each layer? Cross-attention in three honest versions: raw, masked, norm-weighted.

Everybody repeats that early decoder layers look at the task prefix and later ones at the content. This analysis confirms or
refutes it for a model and a prompt set, per layer and head, with base rates, intervals, tests and untrained controls
(definitions: `observe`, `category_mass`, `trend`; Kobayashi et al. 2020; Ferrando and Costa-jussà 2021).
"""

from analyses.core.contract import Analysis
from analyses.cross_attention_focus.arrays import ARRAYS
from analyses.cross_attention_focus.measure.gradients import experiment
from analyses.cross_attention_focus.measure.observe import HOOKS, illustrate, observe
from analyses.cross_attention_focus.present.prompt_page import portray
from analyses.cross_attention_focus.present.section import QUESTION, TITLE
from analyses.cross_attention_focus.present.section import present as _present
from analyses.cross_attention_focus.settings import FocusSettings
from analyses.cross_attention_focus.summary import Focus, summarize

__all__ = [
    "ANALYSIS",
    "Focus",
    "FocusSettings",
    "experiment",
    "illustrate",
    "observe",
    "portray",
    "summarize",
]

ANALYSIS = Analysis(
    name="cross_attention_focus",
    title=TITLE,
    question=QUESTION,
    hooks=HOOKS,
    observe=observe,
    arrays=ARRAYS,
    summarize=summarize,
    present=_present,
    experiment=experiment,
    illustrate=illustrate,
    prompt_page=portray,
    settings=FocusSettings,
)
