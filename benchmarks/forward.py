"""What reading and editing costs: `python -m benchmarks.forward` prints a table of ratios to the host's own forward pass.

The reference (1.00) is the eager transformers model of the same weights that returns attentions and hidden states. All cases run
in one process in alternation, each round in a new order, and a case's number is the median over rounds of its time divided by
the reference's time in the same round, so that a machine that slows down for a while disturbs all of them alike. Wall-clock time
and the processor time of this process are both given: the second is steadier on a machine that others use too.

TransformerLens and nnsight are measured too where they are installed; where they are not, the table says so.
"""

import argparse
import importlib.util
import os
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from rich.console import Console
from rich.table import Table
from transformers import T5Config, T5ForConditionalGeneration

from benchmarks.memory import peak_ratio
from interp.model import HookedEncoderDecoder

Case = Callable[[], object]

SHAPES = {
    "small": {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
    "base": {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
}
"""T5's published sizes (Raffel et al. 2020, section 3.7)."""

REFERENCE = "host, eager, attentions and hidden states"


@dataclass(frozen=True)
class Work:
    """One model and one batch of random tokens."""

    hf: T5ForConditionalGeneration
    model: HookedEncoderDecoder
    inputs: dict[str, torch.Tensor]


def build(shape: str, batch: int, source: int, target: int, device: str, seed: int = 0) -> Work:
    """Two copies of one random model, the host's own and ours, and a batch with padding."""
    torch.manual_seed(seed)
    config = T5Config(vocab_size=32128, dropout_rate=0.0, decoder_start_token_id=0, **SHAPES[shape])
    hf = T5ForConditionalGeneration(config).eval().requires_grad_(False).to(device)
    copy = T5ForConditionalGeneration(config)
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


def peers(work: Work) -> tuple[dict[str, Case], list[str]]:
    """The same work by other tools, and why a tool is missing from the table."""
    found: dict[str, Case] = {}
    absent: list[str] = []
    if importlib.util.find_spec("transformer_lens") is None:
        absent.append("TransformerLens is not installed (pip install transformer-lens)")
    else:
        from benchmarks.peers import transformer_lens_cases

        found |= transformer_lens_cases(work.hf, work.inputs)
    if importlib.util.find_spec("nnsight") is None:
        absent.append("nnsight is not installed (pip install nnsight)")
    else:
        from benchmarks.peers import nnsight_cases

        found |= nnsight_cases(work.hf, work.inputs)
    return found, absent


@dataclass(frozen=True)
class Times:
    """Seconds of every round of one case."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


def measure(timed: dict[str, Case], rounds: int, device: str) -> dict[str, Times]:
    """Every case in every round, in a new order each round, after two rounds to warm up."""
    order = list(timed)
    times = {name: Times() for name in order}
    shuffler = random.Random(0)
    for turn in range(rounds + 2):
        shuffler.shuffle(order)
        for name in order:
            wall, processor = time.perf_counter(), time.process_time()
            with torch.no_grad():
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


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--source", type=int, default=64)
    parser.add_argument("--target", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--threads", type=int, default=0, help="0 leaves torch's choice")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    work = build(options.shape, options.batch, options.source, options.target, options.device)
    theirs, absent = peers(work)
    times = measure({**cases(work), **theirs}, options.rounds, options.device)
    where = torch.cuda.get_device_name() if options.device == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    pages = "2 MiB" if os.environ["THP_MEM_ALLOC_ENABLE"] == "1" else "4 KiB"
    shape = f"t5-{options.shape} shape, batch {options.batch}, {options.source} source x {options.target} target"
    table = Table("case", "ratio", "processor ratio", "median ms", title=f"{shape}, {where}, pages of {pages}")
    base = times[REFERENCE]
    for name, own in times.items():
        ratios = f"{ratio(own.wall, base.wall):.2f}", f"{ratio(own.processor, base.processor):.2f}"
        table.add_row(name, *ratios, f"{1000 * statistics.median(own.wall):.1f}")
    console = Console(width=130)
    console.print(table)
    console.print(
        f"peak memory of a full cache / (bytes kept + the forward's own): {peak_ratio(work, options.device):.2f}"
    )
    for reason in absent:
        console.print(reason)


if __name__ == "__main__":
    main()
