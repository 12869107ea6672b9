"""What reading and editing costs: `python -m benchmarks.forward` prints one table of ratios to the host's own forward pass.

The reference (1.00) is the eager transformers model of the same weights that returns attentions and hidden states. Columns are
two published shapes of T5, and by `--shapes` other families, on short, middle and long inputs, on the processor and, where there
is one, the accelerator. All cases
of a column run in one process in alternation, each round in a new order, and a case's number is the median over rounds of its
time divided by the reference's time in the same round, so that a machine that slows down for a while disturbs all of them alike.
On a processor the time is this process' own, which is steadier than the clock on a machine that others use too.

TransformerLens and nnsight are measured too where they are installed; where they are not, a line says so.
"""

import argparse
import importlib.util
import itertools
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import AutoModelForSeq2SeqLM, PreTrainedConfig, PreTrainedModel, T5Config
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from benchmarks.memory import peak_ratio
from interp.model.cache_buffers import CacheBuffers
from interp.model.hooked_model import HookedEncoderDecoder

Case = Callable[[], object]

_SMALL = {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8}
_EXPERTS = {"num_decoder_layers": 6, "num_experts": 8, "num_sparse_encoder_layers": 3, "num_sparse_decoder_layers": 3}
_STACK = {"num_hidden_layers": 6, "num_attention_heads": 8, "num_key_value_heads": 4, "intermediate_size": 2048}
_GEMMA = {"vocab_size": 32128, "hidden_size": 512, "head_dim": 64, "query_pre_attn_scalar": 64, **_STACK}
_SEEING = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "image_size": 14,
    "patch_size": 14,
}
_SEEING_GEMMA = {"text_config": _GEMMA, "vision_config": _SEEING, "mm_tokens_per_image": 1}
_BART = {
    **{
        f"{stack}_{name}": size for stack in ("encoder", "decoder") for name, size in (("layers", 6), ("ffn_dim", 2048))
    },
    "d_model": 512,
    "encoder_attention_heads": 8,
    "decoder_attention_heads": 8,
    "max_position_embeddings": 1024,
}

SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "small": ("t5", _SMALL),
    "base": ("t5", {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12}),
    "switch": ("switch_transformers", {**_SMALL, **_EXPERTS}),
    "t5gemma": ("t5gemma", {"encoder": _GEMMA, "decoder": _GEMMA}),
    "t5gemma2": ("t5gemma2", {"encoder": _SEEING_GEMMA, "decoder": _GEMMA}),
    "bart": ("bart", _BART),
    "plbart": ("plbart", _BART),
    "blenderbot": ("blenderbot", _BART),
    "blenderbot-small": ("blenderbot-small", _BART),
}
"""Model type and sizes: T5's published ones (Raffel et al. 2020, section 3.7), other families in those of T5's small model."""

PUBLISHED = ("small", "base")
"""The columns that are measured unless others are named."""

INPUTS = {"short": (1, 16, 8), "middle": (8, 64, 32), "long": (2, 512, 128)}
"""Batch, source tokens and target tokens. The middle is the size of a sentence batch, the long one that of summarization."""

REFERENCE = "host, eager, attentions and hidden states"


@dataclass(frozen=True)
class Work:
    """One model and one batch of random tokens."""

    hf: PreTrainedModel
    model: HookedEncoderDecoder
    inputs: dict[str, torch.Tensor]


def build(shape: str, batch: int, source: int, target: int, device: str, seed: int = 0) -> Work:
    """Two copies of one random model, the host's own and ours, and a batch with padding."""
    torch.manual_seed(seed)
    kind, sizes = SHAPES[shape]
    config: PreTrainedConfig = CONFIG_MAPPING[kind](vocab_size=32128, decoder_start_token_id=0, **sizes)
    hf = AutoModelForSeq2SeqLM.from_config(config).eval().requires_grad_(False).to(device)
    copy = AutoModelForSeq2SeqLM.from_config(config)
    copy.load_state_dict(hf.state_dict())
    hf.set_attn_implementation("eager")
    mask = torch.ones(batch, source, dtype=torch.long)
    mask[-1, source // 2 :] = 0
    inputs = {
        "input_ids": torch.randint(3, 32000, (batch, source)),
        "attention_mask": mask,
        "decoder_input_ids": torch.randint(3, 32000, (batch, target)),
        "decoder_attention_mask": torch.ones(batch, target, dtype=torch.long),
    }
    model = HookedEncoderDecoder(copy.requires_grad_(False).to(device))
    return Work(hf, model, {name: tensor.to(device) for name, tensor in inputs.items()})


def cases(work: Work) -> dict[str, Case]:
    """What is timed, by name; the first is the reference."""
    hf, model, inputs = work.hf, work.model, work.inputs
    buffers = CacheBuffers()
    held: list[object] = [None]
    z_points = ["*.attn.hook_z", "*.cross_attn.hook_z"]

    def zero_first_head(z: torch.Tensor, hook: object) -> torch.Tensor:
        z = z.clone()
        z[:, :, 0] = 0
        return z

    return {
        REFERENCE: lambda: hf(**inputs, use_cache=False, output_attentions=True, output_hidden_states=True),
        "host, eager": lambda: hf(**inputs, use_cache=False),
        "hooked, nothing attached": lambda: model(inputs),
        "hooked, every point attached, nothing kept": lambda: model.run_with_hooks(
            inputs, [(_kept_everywhere, _ignore)]
        ),
        "patterns": lambda: model.run_with_cache(inputs, names_filter="*.hook_pattern"),
        "outputs of every sublayer": lambda: model.run_with_cache(inputs, names_filter=_of_sublayers),
        "full cache": lambda: model.run_with_cache(inputs),
        "full cache, one name for all": lambda: held.__setitem__(0, model.run_with_cache(inputs)),
        "full cache, buffers": lambda: model.run_with_cache(inputs, buffers=buffers),
        "one head edited": lambda: model.run_with_hooks(inputs, [("decoder.2.cross_attn.hook_z", zero_first_head)]),
        "all heads ablated": lambda: model.run_with_hooks(inputs, [(name, _zeros) for name in z_points]),
    }


def _kept_everywhere(name: str) -> bool:
    return not name.endswith("hook_result")


def _of_sublayers(name: str) -> bool:
    """What the nnsight case keeps, for a comparison of equal work."""
    return name.endswith((
        "hook_q",
        "hook_k",
        "hook_v",
        "attn_out",
        "hook_mlp_out",
        "mlp.hook_pre",
        "ln2.hook_normalized",
    ))


def _ignore(tensor: torch.Tensor, hook: object) -> None:
    return None


def _zeros(tensor: torch.Tensor, hook: object) -> torch.Tensor:
    return torch.zeros_like(tensor)


PEERS = {"TransformerLens": "transformer_lens", "nnsight": "nnsight"}
"""Tools that are measured where they are installed, and their modules."""


def absent() -> tuple[str, ...]:
    """The peers that are not installed."""
    return tuple(tool for tool, module in PEERS.items() if importlib.util.find_spec(module) is None)


def peers(work: Work) -> dict[str, Case]:
    """The same work by the other tools that are installed, of the models that they know."""
    found: dict[str, Case] = {}
    missing = absent() if isinstance(work.hf.config, T5Config) else tuple(PEERS)
    if "TransformerLens" not in missing:
        from benchmarks.peers import transformer_lens_cases

        found |= transformer_lens_cases(work.hf, work.inputs)
    if "nnsight" not in missing:
        from benchmarks.peers import nnsight_cases

        found |= nnsight_cases(work.hf, work.inputs)
    return found


@dataclass(frozen=True)
class Times:
    """Seconds of every round of one case."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """How cases are timed.

    Attributes:
        rounds: rounds that count.
        in_a_row: how often a case is repeated before the next one's turn, as in a loop.
        only: beginnings of the names of the cases that are wanted; all, if none is given. The reference is always timed.
    """

    rounds: int
    in_a_row: int = 1
    only: tuple[str, ...] = ()


def measure(timed: dict[str, Case], plan: Plan, device: str) -> dict[str, Times]:
    """Every case in every round, in a new order each round, after two rounds to warm up."""
    timed = {
        name: case for name, case in timed.items() if name == REFERENCE or not plan.only or name.startswith(plan.only)
    }
    order = list(timed)
    times = {name: Times() for name in order}
    shuffler = random.Random(0)
    for turn in range(plan.rounds + 2):
        shuffler.shuffle(order)
        for name in order:
            wall, processor = time.perf_counter(), time.process_time()
            with torch.no_grad():
                for _ in range(plan.in_a_row):
                    timed[name]()
            if device == "cuda":
                torch.cuda.synchronize()
            if turn >= 2:
                times[name].wall.append(time.perf_counter() - wall)
                times[name].processor.append(time.process_time() - processor)
    return times


def ratio(own: list[float], reference: list[float]) -> float:
    """Median over rounds of a case's time divided by the reference's in the same round."""
    return statistics.median(one / base for one, base in zip(own, reference, strict=True))


@dataclass(frozen=True)
class Column:
    """One model on one kind of inputs, measured.

    Attributes:
        title: shape, inputs and device.
        base: median milliseconds of the reference.
        ratios: time of every case in units of the reference's.
        peak: peak memory of a full cache over (bytes kept + the forward's own).
    """

    title: str
    base: float
    ratios: dict[str, float]
    peak: float


def column(shape: str, inputs: str, device: str, plan: Plan) -> Column:
    """Measure every case on one model and one kind of inputs."""
    batch, source, target = INPUTS[inputs]
    work = build(shape, batch, source, target, device)
    times = measure({**cases(work), **peers(work)}, plan, device)
    seconds = {name: own.wall if device == "cuda" else own.processor for name, own in times.items()}
    return Column(
        title=f"{shape}\n{batch} x ({source} + {target})\n{device}",
        base=1000 * statistics.median(seconds[REFERENCE]) / plan.in_a_row,
        ratios={name: ratio(own, seconds[REFERENCE]) for name, own in seconds.items()},
        peak=peak_ratio(work, device),
    )


def table(columns: Sequence[Column]) -> Table:
    """Cases as rows, models and inputs as columns."""
    made = Table("ratio to the reference", title="batch x (source + target) tokens")
    for one in columns:
        made.add_column(one.title, justify="right")
    for name in columns[0].ratios:
        made.add_row(name, *(f"{one.ratios[name]:.2f}" for one in columns))
    made.add_section()
    made.add_row("reference, ms", *(f"{one.base:.0f}" for one in columns))
    made.add_row("peak memory, full cache / (kept + forward)", *(f"{one.peak:.2f}" for one in columns))
    return made


def main() -> None:
    """Read the arguments, measure, print."""
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=PUBLISHED)
    parser.add_argument("--inputs", nargs="+", choices=INPUTS, default=list(INPUTS))
    parser.add_argument("--devices", nargs="+", choices=devices, default=devices)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--in-a-row", type=int, default=1, help="each case so often before the next, as in a loop")
    parser.add_argument("--only", nargs="+", default=[], help="beginnings of the names of cases; by default all")
    parser.add_argument("--threads", type=int, default=0, help="0 leaves torch's choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    chosen = itertools.product(options.devices, options.shapes, options.inputs)
    plan = Plan(options.rounds, options.in_a_row, tuple(options.only))
    columns = [column(shape, inputs, device, plan) for device, shape, inputs in chosen]
    console = Console(width=max(48 + 22 * len(columns), 80))
    console.print(table(columns))
    pages = "2 MiB" if os.environ.get("THP_MEM_ALLOC_ENABLE") == "1" else "4 KiB"
    console.print(f"{torch.get_num_threads()} threads, pages of {pages}")
    for tool in absent():
        console.print(f"{tool} is not installed: it has no row.")


if __name__ == "__main__":
    main()
