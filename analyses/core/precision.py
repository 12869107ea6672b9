"""What a narrow type of numbers costs: the numbers of a section beside those that the same weights' file gives in float32.

Whether a run says so hangs on the model's size alone: on what memory happens to be free, the digest of a run would hang too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analyses.core.arrays import specs_of
from analyses.core.contract import Analysis, Arrays
from analyses.core.observing import ConfiguredAnalysis, observe_shard
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report import Section, Table
from interp.report.numbers import counted, significant
from interp.text.batch import Batch

MOST_COMPARED = 1_000_000_000
"""Parameters of a model up to which it is run in float32 as well: 4 GB on the processor."""

_COLUMNS = ("number", "unit", "over", "size in float32", "gap", "largest gap", "gap / size")


@dataclass(frozen=True, slots=True, eq=False)
class PrecisionGap:
    """How far the observations of one analysis are from those of float32.

    Attributes:
        dtype: the type the model ran in.
        prompts: how many were run in both.
        frame: one row an array: root mean squares over prompts and cells of the number in float32 and of the gap, and the
            largest gap.
    """

    dtype: str
    prompts: int
    frame: pd.DataFrame

    def beside(self, section: Section) -> Section:
        """The section with its gaps: a table behind the others, and a sentence among the limits.

        Args:
            section: of the analysis.
        """
        shares = self.frame["gap / size"].dropna()
        table = Table(
            name=f"{section.name}-precision",
            caption=(
                f"What {self.dtype} costs: every number as it was observed and as float32 gives it, on "
                f"{counted(self.prompts, 'prompt')}; "
                "root mean squares over prompts and cells, and the largest difference of one cell."
            ),
            frame=self.frame,
            rows_shown=5,
        )
        if not len(shares):
            return replace(section, blocks=(*section.blocks, table))
        worst = str(self.frame["number"].to_numpy()[np.nanargmax(self.frame["gap / size"].to_numpy())])
        sentence = (
            f"The model ran in {self.dtype}: on {counted(self.prompts, 'prompt')} the observed numbers are off those of "
            "float32 by "
            f"{significant(shares.median())} of their size (median over numbers), and {worst} by {significant(shares.max())}. "
            "A difference smaller than that is rounding."
        )
        return replace(section, blocks=(*section.blocks, table), limits=(sentence, *section.limits))


@dataclass(frozen=True, slots=True)
class UnknownGap:
    """That a model was too large to be run in float32 as well.

    Attributes:
        dtype: the type the model ran in.
        most: parameters up to which a model is.
    """

    dtype: str
    most: int

    def beside(self, section: Section) -> Section:
        """The section with a sentence among the limits.

        Args:
            section: of the analysis.
        """
        sentence = (
            f"The model ran in {self.dtype}. With more than {self.most:,} parameters it was not run in float32 as well, so how "
            "far the observed numbers are off is not known."
        )
        return replace(section, limits=(sentence, *section.limits))


def compared(parameters: int, dtype: str, most: int = MOST_COMPARED) -> bool:
    """Whether a model that runs in a type is run in float32 as well.

    Args:
        parameters: the model's.
        dtype: its type of numbers.
        most: parameters up to which a model is.
    """
    return dtype != "float32" and parameters <= most


def precision_gaps(
    model: HookedEncoderDecoder,
    exact: Callable[[], HookedEncoderDecoder],
    batch: Batch,
    analyses: Sequence[ConfiguredAnalysis],
    most: int = MOST_COMPARED,
) -> Mapping[str, PrecisionGap | UnknownGap]:
    """The gap of every analysis, from one pass of each model over some prompts; none of a model in float32.

    Args:
        model: the model in its own type.
        exact: gives the same in float32, on any device.
        batch: the prompts, with the targets that the run has.
        analyses: the analyses with their settings.
        most: parameters up to which a model is run in float32 as well.
    """
    dtype = str(model.dtype).removeprefix("torch.")
    if dtype == "float32":
        return {}
    if not compared(model.hf.num_parameters(), dtype, most):
        return {item.name: UnknownGap(dtype, most) for item in analyses}
    own, wanted = (observe_shard(one, [batch.to(one.device)], analyses) for one in (model, exact()))
    return {
        item.name: PrecisionGap(dtype, len(batch), gap_frame(item.analysis, own[item.name], wanted[item.name]))
        for item in analyses
    }


def gap_frame(analysis: Analysis, own: Arrays, exact: Arrays) -> pd.DataFrame:
    """One row for every observed array of numbers; cells that are undefined in either are left out.

    Args:
        analysis: whose arrays they are.
        own: as observed.
        exact: the same in float32.
    """
    specs, rows = specs_of(analysis.arrays, "observe"), []
    for name, values in exact.items():
        spec = specs.get(name)
        if not np.issubdtype(values.dtype, np.floating) or (spec and spec.content in ("key", "label")):
            continue
        both = ~np.isnan(values) & ~np.isnan(own[name])
        right, gaps = values[both].astype(np.float64), np.abs(np.subtract(own[name], values, dtype=np.float64)[both])
        if not len(right):
            continue
        size, gap = (float(np.sqrt(np.square(one).mean())) for one in (right, gaps))
        unit, over = (spec.unit, spec.over) if spec else ("", "")
        rows.append((name, unit, over, size, gap, float(gaps.max()), gap / size if size else np.nan))
    return pd.DataFrame(rows, columns=list(_COLUMNS))
