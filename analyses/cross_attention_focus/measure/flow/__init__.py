"""Down to which input tokens does a generated token go, through all layers of both stacks?

Cross-attention reads the encoder's last layer, whose vectors are mixtures of source tokens, from a decoder row that is itself a
mixture of earlier target tokens. Three ways to follow the mixing down to the tokens:

    rollout   products of attention matrices, half of each step kept by the residual       Abnar and Zuidema 2020
    alti      the same with contributions measured on vectors, residual included           Ferrando et al. 2022 (ALTI+)
    chefer    attention times gradient of one logit, propagated by rules                   Chefer et al. 2021
"""

from analyses.cross_attention_focus.measure.flow.attention_rollout import ROLLOUT_HOOKS, rollout
from analyses.cross_attention_focus.measure.flow.compose import Flow
from analyses.cross_attention_focus.measure.flow.contributions import ALTI_HOOKS, alti
from analyses.cross_attention_focus.measure.flow.relevance import Relevance, chefer

__all__ = ["ALTI_HOOKS", "ROLLOUT_HOOKS", "Flow", "Relevance", "alti", "chefer", "rollout"]
