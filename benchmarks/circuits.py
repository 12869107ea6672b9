"""What methods find in compiled programs whose circuits are known, and what they cost: run `python -m benchmarks.circuits`.

One row for every program, corruption and method: AUROC of the edges that the corruption makes active against all others (size of
the mean score), relative error of the scores to exact patching, gradients taken, seconds. Then, on the shape of t5-small with
random weights: processor time and peak memory of EAP over those of one forward and backward pass of the same clean batch, and of
exact patching of all edges into the logits over a loop of one pass each (both on few edges of it).
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from transformers import T5Config, T5ForConditionalGeneration

from benchmarks.memory import tensor_peak
from interp.circuits import METHODS, Judge, graph_of, patch_edges, score_edges
from interp.circuits.circuit import Circuit
from interp.compiled import PROGRAMS, Plan, active, compiled, corrupted_pairs, find_program, plan_of
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.minimal_pairs import PairBatch, PromptPair, pair_batch
from interp.text.batch import collate
from interp.text.tokenized_text import describe_generated

STACKS = ("encoder", "decoder")


def auroc(true: torch.Tensor, values: torch.Tensor) -> float:
    """P(a true edge has the larger size), ties half."""
    first, other = values[true].abs().unsqueeze(1), values[~true].abs()
    return float(((first > other).double() + 0.5 * (first == other)).mean())


def rows(plan: Plan, stack: str, pairs: int) -> list[tuple[str, ...]]:
    """A row for every method on one program and corruption."""
    model, made = compiled(plan.program), corrupted_pairs(plan, "encoder" if stack == "encoder" else "decoder", pairs)
    batch, true = pair_batch(model, made), active(plan, made)
    edges = graph_of(model.cfg).edges
    inside = torch.tensor([edge in true for edge in edges])
    exact = patch_edges(model, batch).mean(0)
    found: list[tuple[str, ...]] = []
    for method in METHODS:
        started = time.process_time()
        scores = score_edges(model, batch, method)
        taken = time.process_time() - started
        error = float((scores.mean - exact).norm() / exact.norm())
        cells = (f"{auroc(inside, scores.mean):.3f}", f"{error:.3f}", str(scores.steps), f"{taken:.2f}")
        found.append((plan.program.name, stack, f"{int(inside.sum())} of {len(edges)}", method, *cells))
    return found


def small_pairs(prompts: int, source: int, target: int) -> tuple[HookedEncoderDecoder, PairBatch]:
    """A T5 of the small shape with random weights, and random pairs."""
    torch.manual_seed(0)
    config = T5Config(decoder_start_token_id=0, dropout_rate=0.0)
    model = HookedEncoderDecoder(T5ForConditionalGeneration(config).requires_grad_(False))

    def texts(length: int) -> list:
        ids = torch.randint(3, 32000, (prompts, length)).tolist()
        return [describe_generated([*row, 1], None, 1) for row in ids]

    targets = texts(target - 1)
    clean, corrupted = (collate(texts(source - 1), targets, model.cfg, model.decoder_inputs, "given") for _ in range(2))
    pair = PromptPair("random", "random", "a", "b", "c", "d")
    last, answers, foils = torch.full((prompts,), target - 1), torch.full((prompts,), 5), torch.full((prompts,), 9)
    return model, PairBatch((pair,) * prompts, clean, corrupted, last, answers, foils)


def seconds(rounds: int, *works: Callable[[], object]) -> list[float]:
    """The median processor time of each of some works, done in turns after a round that is not counted."""
    times: list[list[float]] = [[] for _ in works]
    for number in range(rounds + 1):
        for work, own in zip(works, times, strict=True):
            started = time.process_time()
            work()
            if number:
                own.append(time.process_time() - started)
    return [statistics.median(own) for own in times]


def costs(rounds: int) -> None:
    """Measure and print what EAP and exact patching cost on the small shape."""
    model, pairs = small_pairs(4, 32, 16)

    def forward_and_backward() -> None:
        leaf: list[torch.Tensor] = []

        def embed(value: torch.Tensor, hook: object) -> torch.Tensor:
            leaf.append(value.detach().requires_grad_())
            return leaf[-1]

        with torch.enable_grad(), model.hooks([("encoder.hook_embed", embed), ("decoder.hook_embed", embed)]):
            pairs.difference_of_logits(model, model(pairs.clean)).sum().backward()

    def attribution() -> None:
        score_edges(model, pairs, "eap")

    graph = graph_of(model.cfg)
    one, eap = seconds(rounds, forward_and_backward, attribution)
    print(f"\nEAP, {len(graph)} edges: {eap / one:.2f} of a forward and backward pass in time,")
    print(f"{tensor_peak(attribution) / tensor_peak(forward_and_backward):.2f} in peak memory.")
    into = [edge for edge in graph.edges if edge.receiver == "logits"]
    everything, judge = Circuit(graph, torch.ones(len(graph), dtype=torch.bool)), Judge.of(model, pairs)
    few = into[:: max(len(into) // 6, 1)]
    exact, loop = seconds(
        rounds,
        lambda: patch_edges(model, pairs, into),
        lambda: [judge.measure(everything - Circuit.of(graph, [edge])) for edge in few],
    )
    share = exact / len(into) / (loop / len(few))
    print(f"Exact patching of the {len(into)} edges into the logits: {share:.3f} of a loop of one pass each.")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=[*PROGRAMS, "cost"])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| program | corrupted | active edges | method | AUROC | value error | gradients | seconds |\n"
        + "|---" * 8
        + "|"
    )
    for name in PROGRAMS if chosen.only is None else [name for name in PROGRAMS if name == chosen.only]:
        for stack in STACKS:
            for row in rows(plan_of(find_program(name)), stack, chosen.pairs):
                print(f"| {' | '.join(row)} |")
    if chosen.only in {None, "cost"}:
        costs(chosen.rounds)


if __name__ == "__main__":
    main()
