from .analysis import ANALYSIS as ANALYSIS
from .measure.gradients import experiment as experiment
from .measure.observe import illustrate as illustrate
from .measure.observe import observe as observe
from .present.prompt_page import portray as portray
from .settings import FocusSettings as FocusSettings
from .summary import Focus as Focus
from .summary import summarize as summarize
