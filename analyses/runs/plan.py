"""A plan of a run: what it takes in memory, passes and time, before anything is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from analyses.core.precision import compared
from analyses.core.registry import get
from analyses.runs.config import RunConfig
from analyses.runs.free_memory import memory_of
from interp.errors import InputError
from interp.families.host_config import read_config
from interp.families.point_names import hook_names
from interp.families.table import family_of
from interp.hooks.names import matching
from interp.model.checkpoints import Checkpoint, read_host_config
from interp.model.footprint import Footprint, footprint, kept_bytes, model_without_data, pass_cost
from interp.model.loading import host_config
from interp.model.placement import Placement
from interp.prompts import PromptSet
from interp.report.numbers import counted

_ROOM = 0.9
"""Part of the free memory that a plan fills: allocators round, and the process itself needs some."""
_LARGEST_BATCH = 256
"""More prompts in one pass gain nothing, and padding grows."""


@dataclass(frozen=True, slots=True)
class Work:
    """What shall be run.

    Attributes:
        prompts: how many.
        source: tokens of a source, on average.
        target: tokens of a target.
        twins: untrained models that observe the same prompts.
        batch_size: prompts in a pass; None for as many as fit.
        analyses: names.
        dtype: type of weights and activations.
        generated: whether the model writes the targets.
        workers: processes or machines that share the prompts.
    """

    prompts: int
    source: int = 32
    target: int = 32
    twins: int = 5
    batch_size: int | None = None
    analyses: tuple[str, ...] = ()
    dtype: str = "float32"
    generated: bool = True
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run takes; bytes and operations are computed from shapes.

    Attributes:
        work: what shall be run, with its batch size.
        weights: what the weights take.
        fixed: bytes of a pass that do not grow with the batch.
        of_a_prompt: bytes of a pass for every prompt of the batch, activations that are kept included.
        kept: bytes of activations that a pass keeps for the analyses, for every prompt.
        operations: of one prompt in one pass.
        room: bytes that weights and passes may take.
        resident: bytes of weights in that room at the same time: the model's and a twin's, or its own in float32.
        offloaded: bytes of weights that are brought from the disk in every pass.
    """

    work: Work
    weights: Footprint
    fixed: int
    of_a_prompt: int
    kept: int
    operations: int
    room: int
    resident: int
    offloaded: int

    @property
    def batch_size(self) -> int:
        """Prompts in one pass: those asked for, or as many as fit."""
        return self.work.batch_size or max(self.largest_batch, 1)

    @property
    def largest_batch(self) -> int:
        """The largest batch that fits; 0 if none does."""
        left = self.room - self.resident - self.fixed
        return max(0, min(_LARGEST_BATCH, left // self.of_a_prompt))

    @property
    def fits(self) -> bool:
        """Whether weights and passes are within the room."""
        return self.batch_size <= self.largest_batch

    @property
    def peak(self) -> int:
        """Most bytes at the same time."""
        return self.resident + self.fixed + self.batch_size * self.of_a_prompt

    @property
    def passes(self) -> int:
        """Forward passes of the model and its twins, and of writing the targets; experiments come on top."""
        batches = -(-self.work.prompts // self.batch_size)
        return batches * (1 + self.work.twins + self.work.generated)

    def seconds(self, rate: float) -> float:
        """Seconds of those passes.

        Args:
            rate: operations a second of one worker.
        """
        models = 1 + self.work.twins + self.work.generated
        return self.operations * models * self.work.prompts / rate / self.work.workers


def make_plan(checkpoint: Checkpoint, work: Work, placement: Placement | None = None, room: int | None = None) -> Plan:
    """The plan of a run.

    Args:
        checkpoint: a folder with at least `config.json`.
        work: what shall be run.
        placement: where weights shall lie.
        room: bytes there are; by default those of `placement.max_memory`, or what is free on this machine.

    Raises:
        InputError: if the configuration cannot be read, or the model reads no texts.
    """
    placement = placement or Placement()
    raw, host = read_host_config(checkpoint), host_config(checkpoint)
    cfg = read_config(host, family_of(raw["model_type"], True))
    cfg.check_tokens("A run")
    dtype: torch.dtype = getattr(torch, work.dtype)
    model = model_without_data(host)
    weights = footprint(model, dtype, untied=raw.get("tie_word_embeddings") is False)
    one, two = (pass_cost(model, batch, work.source, work.target, dtype) for batch in (1, 2))
    made = [item for item in map(get, work.analyses) if item.applies(cfg) is None]
    wanted = [name for item in made for name in item.hooks_on(cfg)]
    names = matching(wanted, tuple(hook_names(host.to_dict()))) if wanted else ()
    kept = kept_bytes(cfg, names, work.source, work.target, dtype)
    models = 2 if work.twins else 1
    total = sum(weights.bytes.values()) * models
    room = room if room is not None else int(_ROOM * sum(memory_of(placement).values()))
    of_a_prompt = two.peak - one.peak + kept
    least = one.peak + kept
    offloaded = 0
    if placement.device_map is not None and total + least > room:
        # What does not fit stays on the disk; a layer of each model is in memory while it runs.
        offloaded = min(total, total + least + weights.largest_layer * models - room)
    resident = total - offloaded + (weights.largest_layer * models if offloaded else 0)
    if compared(weights.all, work.dtype) and "cpu" in memory_of(placement):
        resident = max(resident, resident // models + 4 * weights.all)
    return Plan(
        work=work,
        weights=weights,
        fixed=max(0, least - of_a_prompt),
        of_a_prompt=of_a_prompt,
        kept=kept,
        operations=two.operations - one.operations,
        room=room,
        resident=resident,
        offloaded=offloaded,
    )


def work_of(config: RunConfig, prompts: PromptSet, automatic: bool = False) -> Work:
    """What a run of prompts is, its texts as long as the longest, at three characters a token.

    Args:
        config: the run.
        prompts: its prompts.
        automatic: whether the batch size is to be what fits.
    """
    most = config.max_length or 512
    source, target = (
        min(most, 2 + max((len(text) // 3 for text in texts if text), default=least))
        for texts, least in (
            ([prompt.source for prompt in prompts.prompts], 1),
            ([prompt.target for prompt in prompts.prompts], 64),
        )
    )
    return Work(
        prompts=len(prompts),
        source=source,
        target=target,
        twins=config.twins,
        batch_size=None if automatic else config.batch_size,
        analyses=config.analyses,
        dtype=config.dtype,
        generated=any(prompt.target is None for prompt in prompts.prompts),
    )


def check_memory(config: RunConfig, prompts: PromptSet, checkpoint: Checkpoint, placement: Placement | None) -> None:
    """Refuse a run that memory has no room for.

    Args:
        config: the run.
        prompts: its prompts.
        checkpoint: its model.
        placement: where weights shall lie.

    Raises:
        InputError: naming the option that makes it fit.
    """
    placement, work = placement or Placement(), work_of(config, prompts)
    stored = sum(path.stat().st_size for path in checkpoint.folder.glob("*.safetensors"))
    tokens = work.source + work.target
    # What is far from any limit needs no plan: a pass of this many tokens takes less than a hundred times the weights.
    # Limits of a device map are for weights; activations may take all that is free.
    free = sum(memory_of(Placement(placement.device_map)).values())
    if 100 * stored + config.batch_size * tokens * tokens * 10_000 < free:
        return
    plan = make_plan(checkpoint, work, placement, int(_ROOM * free))
    if not plan.fits:
        gib = 2**30
        raise InputError(
            f"This run needs about {plan.peak / gib:.1f} GiB of memory ({plan.resident / gib:.1f} GiB of weights, the model's "
            f"and an untrained twin's, the rest for {counted(plan.batch_size, 'prompt')} a pass), and {plan.room / gib:.1f} GiB "
            f"are to be had; {remedy(plan, placement)}."
        )


def remedy(plan: Plan, placement: Placement) -> str:
    """The first option that makes a plan fit, in words.

    Args:
        plan: one that does not fit.
        placement: where weights lie.
    """
    if plan.largest_batch:
        return f"take --batch-size {plan.largest_batch}, or --batch-size auto"
    # A narrow model that is run in float32 as well takes one and a half of that.
    one, beside = plan.resident / (2 if plan.work.twins else 1), compared(plan.weights.all, "bfloat16")
    half = max(plan.resident / 2, one / 2 + one * beside) + plan.fixed / 2 + plan.of_a_prompt / 2
    if plan.work.dtype == "float32" and half <= plan.room:
        return "take --dtype bfloat16, whose sums are exact to three digits only, and --batch-size auto"
    if placement.device_map is None:
        return "take --device-map auto --offload-folder FOLDER, which keeps on the disk what has no room, and --batch-size auto"
    return "take shorter texts (--max-length), or a machine with more memory"


def table_of(plan: Plan, rate: float | None) -> Mapping[str, str]:
    """What a plan says, in words and numbers.

    Args:
        plan: the plan.
        rate: operations a second of one worker, if known.
    """
    gib = 2**30
    found = {
        f"weights: {part}": f"{n / 1e6:,.1f} M, {plan.weights.bytes[part] / gib:.2f} GiB"
        for part, n in plan.weights.parameters.items()
        if n
    }
    whole = sum(plan.weights.bytes.values())
    found["weights, all"] = f"{plan.weights.all / 1e6:,.1f} M, {whole / gib:.2f} GiB"
    found["in memory at once"] = f"{plan.resident / gib:.2f} GiB of weights" + (
        ", a twin's included" if plan.work.twins else ""
    )
    found["on the disk"] = f"{plan.offloaded / gib:.2f} GiB, read again in every pass"
    found["activations of a pass"] = f"{plan.of_a_prompt / 2**20:.1f} MiB a prompt"
    found["of these kept"] = (
        f"{plan.kept / 2**20:.1f} MiB a prompt, {plan.kept * plan.work.prompts / gib:,.1f} GiB in all passes"
    )
    found["room"] = f"{plan.room / gib:.1f} GiB"
    found["batch size that fits"] = str(plan.largest_batch or "none")
    found["peak"] = f"{plan.peak / gib:.2f} GiB with {counted(plan.batch_size, 'prompt')} a pass"
    found["passes"] = f"{plan.passes:,}, experiments not counted"
    found["operations"] = f"{plan.operations / 1e9:,.2f} G a prompt and pass"
    if rate is not None:
        hours = plan.seconds(rate) / 3600
        found["time"] = f"{hours:,.2f} hours at {rate / 1e9:,.1f} G operations a second" + (
            f" on each of {plan.work.workers} workers" if plan.work.workers > 1 else ""
        )
    return {name: text for name, text in found.items() if plan.offloaded or name != "on the disk"}
