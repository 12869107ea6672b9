from .analysis import ANALYSIS as ANALYSIS
from .settings import GeometrySettings as GeometrySettings
from .summary import EmbeddingGeometry as EmbeddingGeometry
from .summary import summarize as summarize
