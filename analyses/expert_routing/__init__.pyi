from .analysis import ANALYSIS as ANALYSIS
from .observe import observe as observe
from .settings import RoutingSettings as RoutingSettings
from .summary import Atlas as Atlas
from .summary import summarize as summarize
