from .graph import Edge as Edge
from .graph import Graph as Graph
from .graph import graph_of as graph_of
