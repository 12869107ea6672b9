from .choice import start as start
from .local import LocalEngine as LocalEngine
from .ranks import TorchrunEngine as TorchrunEngine
from .ray_cluster import RayEngine as RayEngine
