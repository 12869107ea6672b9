from .analysis import ANALYSIS as ANALYSIS
from .observe import illustrate as illustrate
from .section import present as present
from .settings import AttributionSettings as AttributionSettings
from .summary import LogitAttribution as LogitAttribution
from .summary import summarize as summarize
