from .config import RunConfig as RunConfig
from .config import make_config as make_config
from .manifest import Manifest as Manifest
from .runner import run as run
from .study import Study as Study
from .study import analyse as analyse
