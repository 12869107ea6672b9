"""What a user may choose for the atlas of experts: nothing."""

from analyses.core.settings import Settings


class RoutingSettings(Settings):
    """Settings of the atlas of experts."""
