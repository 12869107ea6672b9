"""A study: one analysis of one model over some texts, in memory, for notebooks.

    study = analyse("cross_attention_focus", model, batch)
    study                             the question, the findings, the limits, and what there is to look at
    study["cross-focus-trends"]       one table, figure or view of the section
    study.result                      the frozen result

The numbers are those of `interp run`: the same observers, untrained twins and summaries. (Resamples follow the order of the
prompts; a run has an order of its own.) Nothing is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analyses.core.contract import Analysis
from analyses.core.evidence import gather
from analyses.core.observing import given_texts
from analyses.core.registry import get
from analyses.runs.config import make_config
from analyses.runs.inputs import configured
from interp.errors import InputError, did_you_mean
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report import Block, Heading, Paragraph, Section, Table
from interp.report.notebook_blocks import BlockDisplay, display_block, section_html
from interp.text.batch import Batch
from interp.text.unknown_pieces import check_known


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Study:
    """What one analysis found.

    Attributes:
        analysis: the analysis.
        result: what its `summarize` gave.
        section: what its `present` made of it, as a report shows it.
    """

    analysis: Analysis
    result: Any
    section: Section

    @property
    def blocks(self) -> dict[str, Block]:
        """Tables, figures, cards and views by name, in the order of the section.

        A name belongs to one block of each kind; where two kinds share it, the later ones are called `name (kind)`.
        """
        found: dict[str, Block] = {}
        for block in self.section.blocks:
            if not isinstance(block, Heading | Paragraph):
                name = block.name if block.name not in found else f"{block.name} ({_kind(block)})"
                found[name] = block
        return found

    def __getitem__(self, name: str) -> BlockDisplay:
        return display_block(self._block(name))

    def frame(self, name: str) -> pd.DataFrame:
        """A table of the section, whole.

        Raises:
            InputError: if the section has no table of this name.
        """
        tables = {block.name: block.frame for block in self.section.blocks if isinstance(block, Table)}
        if name in tables:
            return tables[name]
        kind = _kind(self._block(name))
        raise InputError(f"{name!r} is a {kind} and no table; show it as study[{name!r}].")

    def _block(self, name: str) -> Block:
        blocks = self.blocks
        if name not in blocks:
            raise InputError(f"This study has no {name!r}{did_you_mean(name, blocks)}; it has {', '.join(blocks)}.")
        return blocks[name]

    def __repr__(self) -> str:
        return f"Study({self.analysis.name}: {', '.join(self.blocks)})"

    def _ipython_key_completions_(self) -> list[str]:
        """What `study["cro<TAB>` offers."""
        return list(self.blocks)

    def _repr_html_(self) -> str:
        return section_html(self.section, {name: _kind(block) for name, block in self.blocks.items()})


def analyse(
    analysis: str | Analysis,
    model: HookedEncoderDecoder,
    batch: Batch | str | Sequence[str],
    twins: int = 2,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> Study:
    """Run one analysis on a batch and on untrained twins of the model.

    Args:
        analysis: a name of `interp list analyses`, or an `Analysis` that is still being written.
        model: the model.
        batch: the prompts, all of them in one forward pass; of texts the model writes the targets.
        twins: how many untrained controls, at least 2.
        seed: of resampling; the twins' seeds are derived from it as in a run.
        settings: of the analysis; its defaults where left out.

    Raises:
        InputError: if there is no such analysis, a setting, the seed or the number of twins is not allowed, the model is none
            that the analysis can be made on, or the tokenizer does not know most of the texts.
    """
    if not isinstance(model, HookedEncoderDecoder):
        raise InputError(
            f"An analysis is made on a hooked model, as `interp.load(...)` gives it; got a {type(model).__name__}."
        )
    found = get(analysis) if isinstance(analysis, str) else analysis
    item = configured(found, settings or {})
    why_not = found.applies(model.cfg)
    if why_not is not None:
        raise InputError(f"{found.title} cannot be made on this model: {why_not}. Hooks and cache work all the same.")
    config = make_config(seed=seed, twins=twins)
    batch = batch if isinstance(batch, Batch) else model.batch(batch)
    check_known(given_texts([batch]), model.tokenizer)
    ids = [str(number) for number in range(1, len(batch) + 1)]
    result = found.summarize(*gather([item], model, ids, [batch], config.twins, config.seed))
    return Study(found, result, found.present(result))


def _kind(block: Block) -> str:
    return type(block).__name__.lower()
