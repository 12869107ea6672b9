"""The analysis, as the registry holds it."""

from analyses.core.contract import Analysis
from analyses.embedding_geometry.arrays import ARRAYS
from analyses.embedding_geometry.examine import examine
from analyses.embedding_geometry.fitting import fit
from analyses.embedding_geometry.measure.observe import observe
from analyses.embedding_geometry.measure.spaces import HOOKS
from analyses.embedding_geometry.present.section import QUESTION, TITLE
from analyses.embedding_geometry.present.section import present as _present
from analyses.embedding_geometry.settings import GeometrySettings
from analyses.embedding_geometry.summary import summarize

ANALYSIS = Analysis(
    name="embedding_geometry",
    title=TITLE,
    question=QUESTION,
    hooks=HOOKS,
    observe=observe,
    arrays=ARRAYS,
    summarize=summarize,
    present=_present,
    examine=examine,
    settings=GeometrySettings,
    fit=fit,
)
