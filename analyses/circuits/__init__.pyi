from .analysis import ANALYSIS as ANALYSIS
from .settings import CircuitSettings as CircuitSettings
from .settings import PairTexts as PairTexts
from .summary import AnswerCircuit as AnswerCircuit
from .summary import summarize as summarize
