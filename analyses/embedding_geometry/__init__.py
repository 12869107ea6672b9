"""How do words lie in the embeddings, and what becomes of them from layer to layer?

Static: given groups of words in the input and output embedding, their principal map, cosines and nearest pieces, whether the
groups lie apart by more than chance and frequency, and how the whole vocabulary lies. Contextual: anisotropy and similarity of
the tokens of the prompts in every layer of both stacks, words in sentences of our own, senses, agreement of spaces, and
translations. Everything beside untrained twins.
"""

from analyses.core.contract import Analysis
from analyses.embedding_geometry.arrays import ARRAYS
from analyses.embedding_geometry.examine import examine
from analyses.embedding_geometry.measure.observe import observe
from analyses.embedding_geometry.measure.spaces import HOOKS
from analyses.embedding_geometry.present.section import QUESTION, TITLE
from analyses.embedding_geometry.present.section import present as _present
from analyses.embedding_geometry.settings import GeometrySettings
from analyses.embedding_geometry.summary import EmbeddingGeometry, summarize

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
)

__all__ = ["ANALYSIS", "EmbeddingGeometry", "GeometrySettings", "examine", "observe", "summarize"]
