"""The analysis, as the registry holds it."""

from analyses.core.contract import Analysis
from analyses.expert_routing.arrays import ARRAYS
from analyses.expert_routing.observe import hooks_on, observe
from analyses.expert_routing.section import QUESTION, TITLE, present
from analyses.expert_routing.settings import RoutingSettings
from analyses.expert_routing.summary import summarize
from interp.families.config import ModelConfig


def why_not(cfg: ModelConfig) -> str | None:
    """Why there is no atlas of models of these facts, naming the attribute; None where there is.

    Args:
        cfg: the model's facts.
    """
    return None if cfg.n_experts else "no feed-forward layer has experts (n_experts=0)"


ANALYSIS = Analysis(
    name="expert_routing",
    title=TITLE,
    question=QUESTION,
    hooks=(),
    more_hooks=hooks_on,
    observe=observe,
    arrays=ARRAYS,
    summarize=summarize,
    present=present,
    settings=RoutingSettings,
    applies=why_not,
)
