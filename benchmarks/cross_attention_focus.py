"""What cross-attention focus costs beside the forward pass that feeds it: `python -m benchmarks.cross_attention_focus`.

The bar is 0.50 for the raw, masked and norm-weighted numbers together. Flow and minimal pairs are printed too; the latter runs
two more forward passes by its nature. Two models: the bundled one on the bundled prompts, and a t5-small-shaped one with random
weights on random tokens (16 prompts, 64 source and 32 target tokens). Pass and numbers alternate in one process; a ratio is the
median over rounds of a part's processor time divided by the pass's in the same round.
"""

import argparse

import torch
from rich.console import Console
from rich.table import Table
from transformers import T5Config, T5ForConditionalGeneration

import interp
from analyses.core.contract import Pass
from analyses.cross_attention_focus import FocusSettings
from analyses.cross_attention_focus.measure.observe import HOOKS, observe_readings
from analyses.cross_attention_focus.measure.source_flow import observe_flow
from analyses.cross_attention_focus.measure.token_swaps import observe_swaps
from benchmarks.forward import Plan, measure, ratio
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import bundled
from interp.text.batch import Batch, collate
from interp.text.tokenized_text import Text
from interp.text.words import CONTENT, EOS, FUNCTION, NO_WORD, PREFIX

BAR = 0.50
PASS, READINGS = "forward pass", "raw, masked and norm-weighted"


def random_work() -> tuple[HookedEncoderDecoder, Batch]:
    """T5-small's shape with random weights, and 16 prompts of random tokens."""
    torch.manual_seed(0)
    config = T5Config(
        num_layers=6, num_decoder_layers=6, d_model=512, d_kv=64, d_ff=2048, num_heads=8, decoder_start_token_id=0
    )
    model = HookedEncoderDecoder(T5ForConditionalGeneration(config).requires_grad_(False))
    sources, targets = ([random_text(length) for _ in range(16)] for length in (64, 32))
    return model, collate(sources, targets, model.cfg, model.hf._shift_right, "given")


def random_text(length: int) -> Text:
    """Random tokens: five of prefix, then content and function words in turn, then the end."""
    ids = [*torch.randint(3, 32000, (length - 1,)).tolist(), 1]
    categories = [PREFIX] * 5 + [CONTENT if index % 2 else FUNCTION for index in range(length - 6)] + [EOS]
    pieces = tuple(map(str, ids))
    return Text(" ".join(pieces), tuple(ids), pieces, pieces, (*range(length - 1), NO_WORD), tuple(categories))


def bundled_work() -> tuple[HookedEncoderDecoder, Batch]:
    """The bundled model on 16 bundled prompts."""
    model = interp.load()
    return model, model.batch(bundled("translation", 16).sources)


def parts(model: HookedEncoderDecoder, batch: Batch, rounds: int) -> dict[str, float]:
    """Part of the analysis -> its time over the pass's."""
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, HOOKS)
    run = Pass(model, batch, logits, cache, FocusSettings())
    timed = {
        PASS: lambda: model(batch),
        READINGS: lambda: observe_readings(run),
        "flow (ALTI+ and rollout)": lambda: observe_flow(model, batch, cache),
        "minimal pairs": lambda: observe_swaps(run),
    }
    seconds = measure(timed, Plan(rounds), "cpu")
    whole = seconds[PASS].processor
    return {name: ratio(times.processor, whole) for name, times in seconds.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=None, help="of torch; by default its own choice")
    arguments = parser.parse_args()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    table = Table("part", "bundled model", "t5-small shape", "bar", title=f"{torch.get_num_threads()} threads")
    small, large = (parts(*work(), arguments.rounds) for work in (bundled_work, random_work))
    for name, share in small.items():
        table.add_row(name, f"{share:.2f}", f"{large[name]:.2f}", f"{BAR:.2f}" if name == READINGS else "")
    Console().print(table)


if __name__ == "__main__":
    main()
