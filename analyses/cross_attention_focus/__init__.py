"""What does the decoder read in each layer? Cross-attention in three honest versions: raw, masked, norm-weighted.

Everybody repeats that early decoder layers look at the task prefix and later ones at the content. This analysis confirms or
refutes it for a model and a prompt set, per layer and head, with base rates, intervals, tests and untrained controls
(definitions: `observe`, `masses`, `trend`; Kobayashi et al. 2020; Ferrando and Costa-jussa 2021).
"""

from analyses.core.contract import Analysis
from analyses.cross_attention_focus.arrays import ARRAYS
from analyses.cross_attention_focus.gradients import experiment
from analyses.cross_attention_focus.observe import HOOKS, illustrate, observe
from analyses.cross_attention_focus.portrait import portray
from analyses.cross_attention_focus.section import QUESTION, TITLE, present
from analyses.cross_attention_focus.settings import FocusSettings
from analyses.cross_attention_focus.summary import Focus, summarise

__all__ = [
    "ANALYSIS",
    "Focus",
    "FocusSettings",
    "experiment",
    "illustrate",
    "observe",
    "portray",
    "present",
    "summarise",
]

ANALYSIS = Analysis(
    name="cross_attention_focus",
    title=TITLE,
    question=QUESTION,
    hooks=HOOKS,
    observe=observe,
    arrays=ARRAYS,
    summarise=summarise,
    present=present,
    experiment=experiment,
    illustrate=illustrate,
    prompt_page=portray,
    settings=FocusSettings,
)
