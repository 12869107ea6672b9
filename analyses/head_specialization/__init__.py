"""Head specialization: what does every attention head of an encoder-decoder do, and would an untrained one do it too?

For the heads of encoder self-, decoder self- and cross-attention: entropy, distance, fixed offsets, sinks, prefix and first-token
mass, with base rates, bootstrap intervals over prompts and untrained twins; and a role where a threshold of the literature, a
corrected test and a bootstrap all agree (Voita et al. 2019; Clark et al. 2019; Vig and Belinkov 2019).

In a notebook:

    atlas = heads(interp.load())          the bundled prompts; or sources, (source, target) pairs, prompts, a batch
    labels_frame(atlas)                   every role with its evidence; heads_frame(atlas, "cross"), importance_frame(atlas), ...
    head_frame(atlas, "XL2H1")            every number of one head
"""

from analyses.core.contract import Analysis
from analyses.head_specialization.arrays import ARRAYS
from analyses.head_specialization.examine import examine
from analyses.head_specialization.experiment import experiment
from analyses.head_specialization.measure import position
from analyses.head_specialization.measure.observe import HOOKS, illustrate, observe
from analyses.head_specialization.measure.relations import syntax_frame
from analyses.head_specialization.present.frames import (
    bias_frame,
    head_frame,
    links_frame,
    position_frame,
    prompts_frame,
    similarity_frame,
)
from analyses.head_specialization.present.prompt_page import portray
from analyses.head_specialization.present.section import present as _present
from analyses.head_specialization.present.tables import (
    candidates_frame,
    copying_frame,
    heads_frame,
    importance_frame,
    labels_frame,
    overview_frame,
)
from analyses.head_specialization.roles.decide import RoleLabel
from analyses.head_specialization.settings import HeadSettings
from analyses.head_specialization.summary import HeadAtlas, Metric, summarize
from analyses.head_specialization.survey import batches_of, heads

__all__ = [
    "ANALYSIS",
    "HeadAtlas",
    "HeadSettings",
    "Metric",
    "RoleLabel",
    "batches_of",
    "bias_frame",
    "candidates_frame",
    "copying_frame",
    "head_frame",
    "heads",
    "heads_frame",
    "illustrate",
    "importance_frame",
    "labels_frame",
    "links_frame",
    "observe",
    "overview_frame",
    "position_frame",
    "prompts_frame",
    "similarity_frame",
    "summarize",
    "syntax_frame",
]

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
)
