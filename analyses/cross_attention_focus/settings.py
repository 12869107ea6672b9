"""What a user may choose for this analysis."""

from analyses._contract import Settings


class FocusSettings(Settings):
    """Choices of cross-attention focus.

    Attributes:
        swaps: also run every prompt with the language of its prefix, and with one content word, exchanged. This costs two more
            forward passes for every model.
    """

    swaps: bool = True
