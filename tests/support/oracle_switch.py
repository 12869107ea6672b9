"""Switch Transformers written out once more (Fedus et al. 2022): T5 with experts, token after token."""

import torch
from torch import Tensor
from torch.nn.functional import relu

from tests.support.oracle import Oracle


class SwitchOracle(Oracle):
    """One forward pass of a Switch Transformer; edits of `hook_expert_weights` decide who computes a token."""

    def scaled(self) -> bool:
        return bool(self.config.tie_word_embeddings)

    def mlp(self, name: str, path: str, u: Tensor) -> Tensor:
        path = path.replace("DenseReluDense", "mlp")
        if f"{path}.router.classifier.weight" not in self.weights:
            post = relu(self.at(f"{name}.hook_pre", u @ self.weights[f"{path}.wi.weight"].T))
            return self.at(f"{name}.hook_post", post) @ self.weights[f"{path}.wo.weight"].T
        probabilities = self.at(
            f"{name}.hook_expert_weights", (u @ self.weights[f"{path}.router.classifier.weight"].T).softmax(-1)
        )
        index = self.at(f"{name}.hook_expert_indices", self.routed(probabilities))
        experts = range(probabilities.shape[-1])
        W_in = torch.stack([self.weights[f"{path}.experts.expert_{one}.wi.weight"] for one in experts])
        W_out = torch.stack([self.weights[f"{path}.experts.expert_{one}.wo.weight"] for one in experts])
        own, some = index[..., 0].clamp_min(0), (index >= 0).to(u.dtype)
        pre = self.at(f"{name}.hook_pre", torch.einsum("bpd,bpfd->bpf", u, W_in[own]) * some)
        post = self.at(f"{name}.hook_post", relu(pre))
        return torch.einsum("bpf,bpdf->bpd", post, W_out[own]) * some * probabilities.gather(-1, own.unsqueeze(-1))

    def routed(self, probabilities: Tensor) -> Tensor:
        """The most probable expert of every token, -1 for those that come after it has computed its capacity."""
        index = torch.full((*probabilities.shape[:-1], 1), -1)
        for text, rows in enumerate(probabilities):
            taken = [0] * probabilities.shape[-1]
            for position, row in enumerate(rows):
                expert = int(row.argmax())
                taken[expert] += 1
                if taken[expert] <= self.config.expert_capacity:
                    index[text, position] = expert
        return index
