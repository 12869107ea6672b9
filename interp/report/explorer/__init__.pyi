from .assembly import explorer_page as explorer_page
from .contents import Explorer as Explorer
from .contents import ExplorerPrompt as ExplorerPrompt
from .contents import HeadNote as HeadNote
from .packing import MOST_BYTES as MOST_BYTES
