from .contents import HeadMoment as HeadMoment
from .contents import HeadTimeline as HeadTimeline
from .contents import RunTimeline as RunTimeline
from .contents import Timeline as Timeline
from .contents import TimelinePrompt as TimelinePrompt
from .page import timeline_page as timeline_page
