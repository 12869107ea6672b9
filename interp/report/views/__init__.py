"""BertViz views of one prompt as offline, escaped, reproducible HTML fragments.

View("cross", "Cross-attention of one prompt", head_view(patterns, "cross"), fallback="cross-attention")
"""

from interp.report.views.drawing import HEAD_VIEW_LINES, MODEL_VIEW_LINES, head_view, model_view
from interp.report.views.patterns import AttentionKind, AttentionPatterns

__all__ = ["HEAD_VIEW_LINES", "MODEL_VIEW_LINES", "AttentionKind", "AttentionPatterns", "head_view", "model_view"]
