"""What a user may choose for circuits: which pairs, how edges are scored, and how much a circuit must keep."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from analyses.core.settings import Settings

Text = Annotated[str, Field(min_length=1)]


class CircuitSettings(Settings):
    """Settings of circuits.

    Attributes:
        pairs: minimal pairs, each with clean, corrupted, clean_target and corrupted_target, and perhaps id, kind and row; by
            default those of this package. On the command line a file of them is given by `--pairs`.
        kind: only pairs of this kind; by default the bundled kind of which most pairs are of use for the model, and all pairs
            given.
        method: how edges are scored.
        metric: what a circuit keeps.
        keeps: share of the metric, on the pairs that it is found on, that is enough for a circuit.
        check: edges that are also patched exactly; 0 leaves the check out.
        needed: edges of the circuit, and as many that it lacks, of which it is asked how much they matter; 0 leaves that out.
        draws: random circuits of its size, and as many of its degrees.
        most_pairs: pairs that are taken, the first ones.
    """

    pairs: tuple["PairTexts", ...] = ()
    kind: str | None = None
    method: Literal["eap", "eap-ig", "eap-ig-activations", "exact"] = "eap-ig"
    metric: Literal["logit-difference", "kl"] = "logit-difference"
    keeps: float = Field(default=0.9, gt=0, le=1)
    check: int = Field(default=300, ge=0)
    needed: int = Field(default=24, ge=0)
    draws: int = Field(default=100, ge=1, le=10_000)
    most_pairs: int = Field(default=32, ge=1)


class PairTexts(BaseModel):
    """One minimal pair, as a run's configuration has it; see `interp.patching.PromptPair`.

    Attributes:
        clean: the clean source, task prefix included.
        corrupted: the corrupted source.
        clean_target: how the clean source's target begins, up to the answer at least.
        corrupted_target: how the corrupted source's target begins.
        id: its name; by default its number.
        kind: what differs.
        row: which target token answers, from 0, where it is not the first one that differs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    clean: Text
    corrupted: Text
    clean_target: Text
    corrupted_target: Text
    id: str = ""
    kind: str = "given"
    row: int | None = Field(default=None, ge=0)


class FittedSettings(CircuitSettings):
    """Settings as they are used on a model, by `fit`.

    Attributes:
        refused: why the other candidates were left out, by id.
        lacking: why no circuit can be sought, as a sentence; empty where one can.
    """

    refused: dict[str, str] = Field(default_factory=dict)
    lacking: str = ""
