"""Head specialization: what does every attention head of an encoder-decoder do, and would an untrained one do it too?

For the heads of encoder self-, decoder self- and cross-attention: entropy, distance, fixed offsets, sinks, prefix and first-token
mass, with base rates, bootstrap intervals over prompts and untrained twins; and a role where a threshold of the literature, a
corrected test and a bootstrap all agree (Voita et al. 2019; Clark et al. 2019; Vig and Belinkov 2019).
"""

from analyses._contract import Analysis
from analyses.head_specialization.examine import examine
from analyses.head_specialization.experiment import experiment
from analyses.head_specialization.observe import HOOKS, illustrate, observe
from analyses.head_specialization.portrait import portray
from analyses.head_specialization.roles import RoleLabel
from analyses.head_specialization.section import present
from analyses.head_specialization.settings import HeadSettings
from analyses.head_specialization.summary import HeadAtlas, Metric, summarise
from analyses.head_specialization.tables import candidates_frame, heads_frame, importance_frame, labels_frame

__all__ = [
    "ANALYSIS",
    "HeadAtlas",
    "HeadSettings",
    "Metric",
    "RoleLabel",
    "candidates_frame",
    "heads_frame",
    "illustrate",
    "importance_frame",
    "labels_frame",
    "observe",
    "present",
    "summarise",
]

ANALYSIS = Analysis(
    name="head_specialization",
    title="What each attention head does",
    question="Which heads attend by position, which to special tokens, and which do nothing that an untrained head would not?",
    hooks=HOOKS,
    observe=observe,
    summarise=summarise,
    present=present,
    examine=examine,
    experiment=experiment,
    illustrate=illustrate,
    portray=portray,
    settings=HeadSettings,
)
