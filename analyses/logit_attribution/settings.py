"""What a user may choose for logit attribution."""

from pydantic import Field

from analyses._contract import Settings


class AttributionSettings(Settings):
    """Settings of logit attribution.

    Attributes:
        causal_prompts: prompts, evenly spaced over the prompt set, on which every decoder head is also ablated; 0 leaves the
            causal check out.
        draws: resampled versions of every head's z that are averaged.
    """

    causal_prompts: int = Field(default=8, ge=0)
    draws: int = Field(default=1, ge=1)
