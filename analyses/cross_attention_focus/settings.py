"""What a user may choose for this analysis."""

from pydantic import Field

from analyses.core.settings import Settings


class FocusSettings(Settings):
    """Choices of cross-attention focus.

    Attributes:
        swaps: also run every prompt with the language of its prefix, and with one content word, exchanged. This costs two more
            forward passes for every model.
        relevance_prompts: on how many evenly spaced prompts Chefer's relevance is measured, for the model and one untrained twin;
            it takes a backward pass for every predicted token. 0 leaves it out.
        bertviz_on_pages: also draw the heads with BertViz on the page of every prompt, 0.35 MB each; the report has the first
            prompt's in any case, and every page has all heads in a table.
    """

    swaps: bool = True
    relevance_prompts: int = Field(default=6, ge=0)
    bertviz_on_pages: bool = False
