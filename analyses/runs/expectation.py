"""How long a run will take, roughly: said before it begins, with what would make it shorter."""

from analyses.core.registry import DEFAULT
from analyses.runs.config import RunConfig
from interp.model.checkpoints import Checkpoint
from interp.report.numbers import counted

# Measured with the bundled model on one core of a laptop; a model's part grows with its weights.
_ALWAYS = 20.0
_OF_A_MODEL = 2.0
_OF_A_PROMPT = 0.04
_OF_CIRCUITS = 90.0
_OF_A_PAGE = 0.06
_BYTES = 32e6
"""Weights of the model with which these seconds were measured."""


def expected_seconds(config: RunConfig, prompts: int, checkpoint: Checkpoint) -> float:
    """Seconds that a run takes on a core of a laptop, within a factor of two or three.

    Args:
        config: the run.
        prompts: how many it reads.
        checkpoint: its model.
    """
    weights = sum(path.stat().st_size for path in checkpoint.folder.glob("*.safetensors"))
    size, models = max(weights / _BYTES, 0.2), 1 + config.twins
    share = len(config.analyses) / len(DEFAULT)
    computing = share * models * (_OF_A_MODEL + _OF_A_PROMPT * prompts) * size
    if "circuits" in config.analyses:  # on the model and one twin, whatever the prompts
        computing += _OF_CIRCUITS * size
    return _ALWAYS + computing + _OF_A_PAGE * min(prompts, config.pages)


def expectation(config: RunConfig, prompts: int, checkpoint: Checkpoint) -> str:
    """A sentence about it.

    Args:
        config: the run.
        prompts: how many it reads.
        checkpoint: its model.
    """
    seconds = expected_seconds(config, prompts, checkpoint)
    duration = f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{round(seconds, -1):.0f} seconds"
    shorter = [
        option
        for option, helps in {
            "--limit": prompts > 8,
            "--twins": config.twins > 2,
            "--analyses": len(config.analyses) > 1,
        }.items()
        if helps
    ]
    what = f"{counted(prompts, 'prompt')}, the model and {config.twins} untrained twins"
    hint = f" Less of {', '.join(shorter)} makes it shorter." if shorter else ""
    return f"About {duration} on a laptop: {what}.{hint}"
