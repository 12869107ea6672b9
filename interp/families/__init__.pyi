from .config import ModelConfig as ModelConfig
from .sites import Site as Site
from .sites import StackSites as StackSites
from .table import FAMILIES as FAMILIES
from .table import Family as Family
from .table import family_of as family_of
from .table import read_config as read_config
