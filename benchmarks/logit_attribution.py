"""What exact attribution and patching cost: `python -m benchmarks.logit_attribution`.

A t5-small-shaped model with random weights on random tokens (64 source, 32 target). Forward pass and attribution alternate in one
process; a ratio is the median over rounds of a part's processor time divided by the forward pass's in the same round. The bars:

    0.5   all components, and all heads x source tokens, at every target position
    2.0   the same with every source token split over all encoder components
    0.5   all sites of a family patched on 16 pairs, against one forward pass a site with a hook that patches it, at equal numbers

One set of equations serves every family. Measured in alternation with the closed form that T5 had to itself (8 prompts, one
thread, forward pass 530 ms): components 23 ms with either; source tokens over encoder components 223 ms against 238 ms, where the
general form without carrying the encoder's writes forwards through its norms took 1,138 ms; direct effects of replacing the heads
of one attention layer 13 ms against 6 ms, beside 4,483 ms for their total effects. The closed form is gone.

Every site goes on from the place where it acts (`partial_forward`); a site of the encoder needs what is behind it there and the
decoder, so that its share is the largest.
"""

import argparse
import time
from typing import get_args

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from transformers import T5Config, T5ForConditionalGeneration

from benchmarks.forward import Plan, measure, ratio
from interp.attribution.direct_logit_attribution import Decomposition, decompose, decomposition_hooks
from interp.attribution.frozen_norms import sublayer_directions
from interp.attribution.logit_readout import Readout, label_tokens, logit_difference, runner_up
from interp.attribution.source_attribution import DecoderKind, encoder_attribution, source_contributions
from interp.hooks.hook_point import HookPoint
from interp.hooks.names import attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.activation_patching import Site, patch_sites, sites
from interp.patching.minimal_pairs import PairBatch, PromptPair
from interp.patching.site_families import SiteFamily
from interp.text.batch import Batch, collate
from interp.text.tokenized_text import Text
from interp.text.words import CONTENT, EOS, NO_WORD

PASS, TWO_LEVELS, THREE_LEVELS = "forward pass", "components, heads x source tokens", "with encoder components"
BARS = {TWO_LEVELS: 0.5, THREE_LEVELS: 2.0}
PATCHING_BAR = 0.5
FAMILIES: tuple[SiteFamily, ...] = get_args(SiteFamily)


def small_model() -> HookedEncoderDecoder:
    """T5-small's shape with random weights."""
    torch.manual_seed(0)
    config = T5Config(
        num_layers=6, num_decoder_layers=6, d_model=512, d_kv=64, d_ff=2048, num_heads=8, decoder_start_token_id=0
    )
    return HookedEncoderDecoder(T5ForConditionalGeneration(config).eval().requires_grad_(False))


def random_batch(model: HookedEncoderDecoder, prompts: int, seed: int) -> Batch:
    """Random tokens of equal lengths."""
    generator = torch.Generator().manual_seed(seed)

    def text(length: int) -> Text:
        ids = (*torch.randint(3, 32000, (length - 1,), generator=generator).tolist(), 1)
        categories = (*(CONTENT,) * (length - 1), EOS)
        return Text("random", ids, tuple(map(str, ids)), (), (NO_WORD,) * length, categories)

    sources, targets = ([text(length) for _ in range(prompts)] for length in (64, 32))
    return collate(sources, targets, model.cfg, model.hf._shift_right, "given")


def two_levels(model: HookedEncoderDecoder, cache: ActivationCache, readout: Readout) -> Decomposition:
    """Every component, and every cross and self head over the positions it reads."""
    directions = sublayer_directions(model, cache, readout)
    kinds: tuple[DecoderKind, ...] = ("cross", "decoder")
    for layer in range(model.cfg.n_decoder_layers):
        for kind in kinds:
            source_contributions(model, cache, kind, layer, directions[attention_path(kind, layer)])
    return decompose(model, cache, readout)


def three_levels(model: HookedEncoderDecoder, cache: ActivationCache, readout: Readout) -> Tensor:
    """The same, and every source token at every target position over all encoder components."""
    return encoder_attribution(model, cache, two_levels(model, cache, readout))


def attribution_ratios(rounds: int, prompts: int) -> dict[str, float]:
    """Part -> its processor time over the forward pass's."""
    model = small_model()
    batch = random_batch(model, prompts, 0)
    own = ("decoder.*.attn.hook_pattern", "decoder.*.attn.hook_v")
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, [*decomposition_hooks(model.cfg), *own])
        tokens = label_tokens(batch)
        readout = logit_difference(model, logits, tokens, runner_up(model, logits, tokens))
    timed = {
        PASS: lambda: model(batch),
        TWO_LEVELS: lambda: two_levels(model, cache, readout),
        THREE_LEVELS: lambda: three_levels(model, cache, readout),
    }
    times = measure(timed, Plan(rounds), "cpu")
    return {name: ratio(times[name].processor, times[PASS].processor) for name in BARS}


def random_pairs(model: HookedEncoderDecoder, count: int) -> PairBatch:
    """Random sources against others, with the same decoder inputs; the answer is at the last row."""
    clean, other = random_batch(model, count, 0), random_batch(model, count, 1)
    corrupted = collate(other.source_texts, clean.target_texts, model.cfg, model.hf._shift_right, "given")
    pair = PromptPair("random", "random", "clean", "corrupted", "answer", "foil")
    rows = torch.full((count,), 31)
    answers = torch.arange(100, 100 + count)
    return PairBatch((pair,) * count, clean, corrupted, rows, answers, answers + 1000)


def naive(model: HookedEncoderDecoder, pairs: PairBatch, site: Site, cache: ActivationCache) -> Tensor:
    """One forward pass with one hook, read from the logits."""

    def patch(tensor: Tensor, hook: HookPoint) -> Tensor:
        changed = tensor.clone()
        axis = hook.axes.index(site.axis)
        assert site.index is not None
        changed.select(axis, site.index).copy_(cache[site.name].select(axis, site.index))
        return changed

    return pairs.difference_of_logits(model, model.run_with_hooks(pairs.corrupted, [(site.name, patch)]))


def patching_ratio(
    model: HookedEncoderDecoder, pairs: PairBatch, family: SiteFamily, stride: int
) -> tuple[float, float]:
    """Time of `patch_sites` over that of the naive loop, on every `stride`-th head, and the largest difference of numbers."""
    chosen = sites(model, pairs, family)[::stride]
    started = time.process_time()
    effects = patch_sites(model, pairs, chosen)
    ours = time.process_time() - started
    started = time.process_time()
    base = pairs.difference_of_logits(model, model(pairs.corrupted))
    _, cache = model.run_with_cache(pairs.clean, sorted({site.name for site in chosen}))
    expected = torch.stack([naive(model, pairs, site, cache) - base for site in chosen], 1)
    loop = time.process_time() - started
    return ours / loop, float((effects.numerator - expected).abs().max())


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--stride", type=int, default=1, help="patch every n-th site only")
    parser.add_argument("--threads", type=int, default=None, help="of torch; by default its own choice")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    table = Table("attribution", "time over forward pass", "bar")
    for name, share in attribution_ratios(arguments.rounds, arguments.prompts).items():
        table.add_row(name, f"{share:.2f}", f"{BARS[name]:.1f}")
    console = Console()
    console.print(table)
    model = small_model()
    table = Table("patching, 16 pairs", "time over naive loop", "bar", "largest difference")
    with torch.no_grad():
        pairs = random_pairs(model, 16)
        for family in FAMILIES:
            share, difference = patching_ratio(model, pairs, family, arguments.stride)
            table.add_row(family, f"{share:.2f}", f"{PATCHING_BAR:.1f}", f"{difference:.1e}")
    console.print(table)


if __name__ == "__main__":
    main()
