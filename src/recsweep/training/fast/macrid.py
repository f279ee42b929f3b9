"""MacridVAE: a code for each facet of a user, a share of each item in each facet (Ma et al. 2019, NeurIPS).

RecBole encodes a dense row of ratings for each facet. Here the weights of a user's items are read once for
all facets, and the scores of a few users at a time become gradients of codes, items and shares at once. In
evaluation RecBole draws noise for the shares and multiplies it by 0: here its numbers are passed over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn import functional

from recsweep.training.fast.autoencoders import UserFamily
from recsweep.training.fast.histories import Bags
from recsweep.training.fast.scores import Matrix, Scores, rows_at_once
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table

_COLDEST = 0.02
"""Temperature below which exponentials of cosines over it come near the ends of float32."""


class Macrid(UserFamily):
    """MacridVAE."""

    models = ("MacridVAE",)

    @classmethod
    def refuses(cls, model: Any) -> str | None:
        return None if model.tau >= _COLDEST else f"tau {model.tau}: exponentials beyond float32"

    # -- steps ------------------------------------------------------------------------------------

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        bags = self.bags(table, batch)
        values = self.dropped(bags.normalized(), self.model.drop_out)
        items, shares = self._items()
        codes, own = self._coded(self._first(bags, values, shares))
        sums = self._sums(codes, items, shares)
        wanted = sums[bags.owners, bags.items].log().sum()
        loss = ((bags.counts * sums.sum(1).log()).sum() - wanted) / len(batch.rows) + own
        self.backward(loss)
        return loss.detach()

    def native_step(self, table: Table, batch: Batch) -> float:
        kernels, layer, bags = self.kernels, self.model.encoder[0], self.bags(table, batch)
        values = self.dropped(bags.normalized(), self.model.drop_out)
        items, shares = self._items()
        weight, seen = layer.weight.detach().t().contiguous(), _seen(bags, values, shares)
        first = kernels.facet_sums(weight, layer.bias.detach(), *seen).requires_grad_()  # type: ignore[union-attr]
        codes, own = self._coded(first)
        ditems, by_facet = torch.zeros_like(items), torch.zeros(shares.shape[::-1])
        loss, slopes = kernels.facet_loss(  # type: ignore[union-attr]
            *(codes.detach(), items.detach(), shares.detach().t().contiguous()),
            *(bags.starts, bags.items, 1 / len(batch.rows), ditems, by_facet),
        )
        torch.autograd.backward([codes, own], [slopes, None])
        dweight, dshares = torch.zeros_like(weight), by_facet.t().contiguous()
        given = (first.grad.contiguous(), weight, *seen)
        kernels.facet_gradients(*given, dweight, layer.bias.grad, dshares)  # type: ignore[union-attr]
        layer.weight.grad += dweight.t()
        torch.autograd.backward([items, shares], [ditems, dshares])
        return float(loss) + float(own.detach())

    def _items(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Items [n_items, d] of length 1, and the share of each in each facet [n_items, facets]."""
        m = self.model
        items = functional.normalize(m.item_embedding.weight, dim=1)
        logits = items @ functional.normalize(m.k_embedding.weight, dim=1).t() / m.tau
        if m.training and not m.nogb:
            return items, functional.gumbel_softmax(logits, tau=1, hard=False, dim=-1)
        return items, logits.softmax(-1)

    def _first(self, bags: Bags, values: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        """[users * facets, width]: the encoder's first layer on values [pairs] times the items' shares."""
        layer = self.model.encoder[0]
        if self.kernels is not None:
            weight, seen = layer.weight.t().contiguous(), _seen(bags, values, shares)
            sums: torch.Tensor = self.kernels.facet_sums(weight, layer.bias, *seen)
            return sums
        rows = bags.dense(values)
        return torch.stack([layer(rows * share) for share in shares.unbind(1)], dim=1).flatten(0, 1)

    def _coded(self, first: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Codes [users, facets, d] of length 1, over the temperature; and the loss that knows no items."""
        m = self.model
        size = m.embedding_size
        hidden = m.encoder[1:](first).view(-1, m.kfac, 2 * size)
        mean, spread = functional.normalize(hidden[..., :size], dim=2), hidden[..., size:]
        if not m.training:
            return mean / m.tau, mean.new_zeros(())
        m.update += 1
        grown = m.update / m.total_anneal_steps if m.total_anneal_steps > 0 else m.anneal_cap
        own = -0.5 * (1 + spread - spread.exp()).sum(2).mean(0).sum() * min(m.anneal_cap, grown)
        if m.regs[0] != 0 or m.regs[1] != 0:
            own = own + m.reg_loss()
        noise = [torch.empty_like(mean[:, 0]).normal_(mean=0, std=m.std) for _ in range(m.kfac)]
        drawn = mean + torch.stack(noise, dim=1) * (0.5 * spread).exp()
        return functional.normalize(drawn, dim=2) / m.tau, own

    @staticmethod
    def _sums(codes: torch.Tensor, items: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        """[users, n_items]: exponentials of codes times items, the sum over facets by the items' shares."""
        sums = (codes[:, 0] @ items.t()).exp() * shares[:, 0]
        for facet in range(1, shares.shape[1]):
            sums = sums + (codes[:, facet] @ items.t()).exp() * shares[:, facet]
        return sums

    # -- validation -------------------------------------------------------------------------------

    def scores(self, table: Table) -> Iterator[tuple[torch.Tensor, Scores]]:
        m = self.model
        items, shares = self._items()
        step = rows_at_once(max(m.n_items, m.kfac * m.encoder[0].out_features))
        for begin in range(0, len(table), step):
            rows = table.rows(begin, begin + step)
            bags = self.histories.all_of(table.users[rows.to(table.device)])
            codes, _ = self._coded(self._first(bags, bags.normalized(), shares))
            yield rows, Matrix(self._scores(codes, items, shares))

    def _scores(self, codes: torch.Tensor, items: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        if self.kernels is None:
            return self._sums(codes, items, shares).log()
        found: torch.Tensor = self.kernels.facet_scores(codes, items, shares.t().contiguous())
        return found

    def draw_as_validation(self, loader: Any) -> None:
        m = self.model
        if m.nogb:
            return
        calls, device = _calls(loader), m.item_embedding.weight.device
        if self.kernels is not None:
            self.kernels.skip_draws(calls * m.n_items * m.kfac)
            return
        # On a CPU a double takes what an exponential takes, in a third of the time.
        kind = torch.float64 if device.type == "cpu" else torch.float32
        numbers = torch.empty(m.n_items, m.kfac, dtype=kind, device=device)
        for _ in range(calls):
            numbers.uniform_() if device.type == "cpu" else numbers.exponential_()


def _seen(bags: Bags, values: torch.Tensor, shares: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Items of users, their values, and the items' shares, as the kernels take them."""
    return bags.starts, bags.items, values, shares.detach()


def _calls(loader: Any) -> int:
    """How often RecBole asks a model for scores in a validation."""
    if not hasattr(loader, "times"):
        return len(loader)
    pairs = torch.as_tensor(loader.uid2items_num[loader.uid_list] * loader.times)
    at_once = int(loader.config["eval_batch_size"])
    return sum(math.ceil(int(part.sum()) / at_once) for part in torch.split(pairs, loader.step))
