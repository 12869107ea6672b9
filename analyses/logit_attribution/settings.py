"""What a user may choose for logit attribution."""

from pydantic import Field

from analyses.core.settings import Settings
from interp.patching.site_families import SiteFamily


class AttributionSettings(Settings):
    """Settings of logit attribution.

    Attributes:
        causal_prompts: prompts, evenly spaced over the prompt set, on which every decoder head is also ablated; 0 leaves the
            causal check out.
        draws: resampled versions of every head's z that are averaged.
        patching_pairs: bundled minimal pairs on which sites are patched, taken from those that flip the answer; 0 leaves patching
            out.
        patching_sites: families of sites that are patched.
        neurons: decoder neurons shown, those that contribute most to the sampled answers; 0 leaves them out.
    """

    causal_prompts: int = Field(default=8, ge=0)
    draws: int = Field(default=1, ge=1, le=1_000)
    patching_pairs: int = Field(default=6, ge=0)
    patching_sites: tuple[SiteFamily, ...] = Field(default=("encoder_z", "decoder_z", "cross_z"), min_length=1)
    neurons: int = Field(default=8, ge=0, le=10_000)
