"""The analysis, as the registry holds it."""

from analyses.core.contract import Analysis, on_own_rows
from analyses.cross_attention_focus.arrays import ARRAYS
from analyses.cross_attention_focus.measure.gradients import experiment
from analyses.cross_attention_focus.measure.observe import HOOKS, illustrate, observe
from analyses.cross_attention_focus.present.prompt_page import portray
from analyses.cross_attention_focus.present.section import QUESTION, TITLE
from analyses.cross_attention_focus.present.section import present as _present
from analyses.cross_attention_focus.settings import FocusSettings
from analyses.cross_attention_focus.summary import summarize

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
    applies=on_own_rows,
)
