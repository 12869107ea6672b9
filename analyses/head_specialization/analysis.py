"""The analysis, as the registry holds it."""

from analyses.core.contract import Analysis, on_own_rows
from analyses.head_specialization.arrays import ARRAYS
from analyses.head_specialization.examine import examine
from analyses.head_specialization.experiment import experiment
from analyses.head_specialization.measure import position
from analyses.head_specialization.measure.observe import HOOKS, illustrate, observe
from analyses.head_specialization.present.prompt_page import portray
from analyses.head_specialization.present.section import present as _present
from analyses.head_specialization.settings import HeadSettings
from analyses.head_specialization.summary import summarize

ANALYSIS = Analysis(
    name="head_specialization",
    title="What each attention head does",
    question="Which heads attend by position, which to special tokens, and which do nothing that an untrained head would not?",
    hooks=HOOKS,
    observe=observe,
    summarize=summarize,
    present=_present,
    examine=examine,
    experiment=experiment,
    illustrate=illustrate,
    prompt_page=portray,
    arrays=ARRAYS,
    settings=HeadSettings,
    more_hooks=position.hooks_on,
    applies=on_own_rows,
)
