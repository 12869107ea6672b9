from .analysis import ANALYSIS as ANALYSIS
from .settings import RoutingSettings as RoutingSettings
from .summary import Atlas as Atlas
from .summary import summarize as summarize
