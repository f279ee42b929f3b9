"""STAMP and FOSSIL: weighted sums over the items of a sequence.

RecBole initializes the embedding of padding too and sums over the padded width, so padding counts in both.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from recsweep.training.fast.encoders import Encoder, linear_parameters
from recsweep.training.fast.packed import Lengths
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table


class Stamp(Encoder):
    """STAMP: attention of the last item and the mean over the sequence."""

    models = ("STAMP",)
    fixed_width = True

    def parameters(self) -> list[torch.nn.Parameter]:
        m = self.model
        attention = [m.item_embedding.weight, m.w1.weight, m.w2.weight, m.w3.weight, m.w0.weight, m.b_a]
        return attention + linear_parameters(m.mlp_a, m.mlp_b)

    def native_step(self, table: Table, batch: Batch) -> float:
        loss: float = self.kernels.stamp_step(*self.sequence_arguments(table, batch))  # type: ignore[union-attr]
        return loss

    def native_encode(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.kernels.stamp_encode(  # type: ignore[union-attr]
            self.plain, *table.picked(rows)
        )
        return result

    def encode(self, sequences: torch.Tensor, lengths: Lengths, users: torch.Tensor) -> torch.Tensor:
        m = self.model
        embedded = m.item_embedding(sequences)
        counts = lengths.there
        last = embedded[torch.arange(len(counts), device=embedded.device), counts - 1]
        mean = embedded.sum(1) / counts[:, None].float()
        # RecBole repeats both for every position before it projects them.
        aspect = (m.w2(last) + m.w3(mean) + m.b_a)[:, None]
        alpha = m.w0(torch.sigmoid(m.w1(embedded) + aspect))
        memory = (alpha.transpose(1, 2) @ embedded).squeeze(1) + mean
        return torch.tanh(m.mlp_a(memory)) * torch.tanh(m.mlp_b(last))


class Fossil(Encoder):
    """FOSSIL: similarity to all items of a sequence plus a Markov chain over the last few."""

    models = ("FOSSIL",)
    fixed_width = True

    def parameters(self) -> list[torch.nn.Parameter]:
        m = self.model
        return [m.item_embedding.weight, m.user_lambda.weight, m.lambda_]

    def native_step(self, table: Table, batch: Batch) -> float:
        *first, targets, negatives, kind = self.sequence_arguments(table, batch)
        loss: float = self.kernels.fossil_step(  # type: ignore[union-attr]
            *(*first, table.users[batch.rows], targets, negatives, kind),
            *(float(self.model.alpha), float(self.model.reg_weight)),
        )
        return loss

    def native_encode(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.kernels.fossil_encode(  # type: ignore[union-attr]
            self.plain, *table.picked(rows), table.users[rows], float(self.model.alpha)
        )
        return result

    def encode(self, sequences: torch.Tensor, lengths: Lengths, users: torch.Tensor) -> torch.Tensor:
        m = self.model
        order, counts = int(m.order_len), lengths.there
        # The sum over a sequence without a copy of its embeddings; padding counts, as in RecBole.
        real = (sequences != 0).to(m.item_embedding.weight.dtype)
        padding = m.item_embedding.weight[0].detach() * (sequences.shape[1] - real.sum(1))[:, None]
        total = (
            functional.embedding_bag(sequences, m.item_embedding.weight, mode="sum", per_sample_weights=real)
            + padding
        )
        similarity = torch.pow(counts[:, None], -m.alpha).float() * total
        places = counts[:, None] - order + torch.arange(order, device=sequences.device)
        recent = m.item_embedding(sequences.gather(1, places.clamp(min=0)))
        recent = recent * (places >= 0)[:, :, None]
        weights = (m.user_lambda(users) + m.lambda_)[:, :, None]
        result: torch.Tensor = (recent * weights).sum(1) + similarity
        return result

    def regularization(
        self, table: Table, places: torch.Tensor, targets: torch.Tensor, hidden: torch.Tensor
    ) -> torch.Tensor | None:
        m = self.model
        if not m.reg_weight:
            return None
        norms = m.user_lambda(table.users[places]).norm() + m.item_embedding(targets).norm() + hidden.norm()
        total: torch.Tensor = m.reg_weight * norms
        return total
