"""How do words lie in the embeddings, and what becomes of them from layer to layer?

Static: given groups of words in the input and output embedding, their principal map, cosines and nearest pieces, and whether
the groups lie apart by more than chance. Contextual: anisotropy and intra-sentence similarity of the tokens of the prompts in
every layer of both stacks. Everything beside untrained twins (methods: Ethayarajh 2019; Mu & Viswanath 2018; Rousseeuw 1987).
"""

from analyses._contract import Analysis
from analyses.embedding_geometry.examine import examine
from analyses.embedding_geometry.observe import observe
from analyses.embedding_geometry.section import present
from analyses.embedding_geometry.settings import GeometrySettings
from analyses.embedding_geometry.spaces import HOOKS
from analyses.embedding_geometry.summary import EmbeddingGeometry, summarise

ANALYSIS = Analysis(
    name="embedding_geometry",
    title="Embedding geometry",
    question="Do words of one kind lie together, and how does the space of tokens change from layer to layer?",
    hooks=HOOKS,
    observe=observe,
    summarise=summarise,
    present=present,
    examine=examine,
    settings=GeometrySettings,
)

__all__ = ["ANALYSIS", "EmbeddingGeometry", "GeometrySettings", "examine", "observe", "present", "summarise"]
