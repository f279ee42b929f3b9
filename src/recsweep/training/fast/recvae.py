"""RecVAE: encoder and decoder trained in turns, the encoder close to what it was (Shenbin et al. 2020, WSDM).

The encoder of the epoch before says the same of a user in all passes of an epoch, and it is what the decoder
learns from and what is validated: RecBole computes it for each of them, here it is computed once. A pass
computes no gradients of the part whose turn it is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

from recsweep.training.fast import scores
from recsweep.training.fast.autoencoders import Over, UserFamily
from recsweep.training.fast.base import Pass
from recsweep.training.fast.histories import Bags
from recsweep.training.fast.products import ProductFamily
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table

_ENCODER, _DECODER = "encoder", "decoder"
_Code = tuple[torch.Tensor, torch.Tensor]
"""Means and logarithms of variances, [users, latent] each."""


class RecVae(UserFamily, ProductFamily):
    """RecVAE."""

    models = ("RecVAE",)
    trainers = ("RecVAETrainer",)

    def __init__(self, model: Any, kernels: Any | None, seed: int) -> None:
        super().__init__(model, kernels, seed)
        self._part = _ENCODER
        self._kept: _Code | None = None
        """The codes of all users by the encoder of the epoch before."""

    @classmethod
    def refuses_training(cls, trainer: Any) -> str | None:
        if trainer.clip_grad_norm:  # RecBole's norm counts gradients of the other part, of batches long ago
            return "clip_grad_norm over both parts"
        if min(trainer.n_enc_epochs, trainer.n_dec_epochs) < 1:
            return "one of both parts is not trained"
        return None

    def passes(self, trainer: Any) -> list[Pass]:
        encoder = Pass(_ENCODER, trainer.optimizer_encoder, counted=False)
        decoder = Pass(_DECODER, trainer.optimizer_decoder)
        return [encoder] * trainer.n_enc_epochs + [decoder] * trainer.n_dec_epochs

    def turn(self, one: Pass) -> None:
        if one.name == _DECODER and self._part == _ENCODER:
            self.model.update_prior()
            self._kept = None
        self._part = one.name

    def go_on(self, state: Mapping[str, Any]) -> None:
        super().go_on(state)
        self._kept = None

    # -- steps ------------------------------------------------------------------------------------

    def torch_step(self, table: Table, batch: Batch) -> torch.Tensor:
        decoder, bags = self.model.decoder, self.bags(table, batch)
        weight, bias = decoder.weight, decoder.bias
        if self._part == _ENCODER:
            weight, bias = weight.detach(), bias.detach()
            values = self.dropped(bags.normalized(), self.model.dropout_prob)
            first = self.first_layer(self.model.encoder.fc1, bags, values)
            z, loss = self._drawn(table, batch, bags, _code(self.model.encoder, first))
        else:
            z, loss = self._drawn(table, batch, bags, None)
        predicted = functional.log_softmax(functional.linear(z, weight, bias), 1)
        loss = loss - (predicted * bags.dense(bags.ones())).sum(1).mean()
        self.backward(loss)
        return loss.detach()

    def native_step(self, table: Table, batch: Batch) -> float:
        decoder, bags = self.model.decoder, self.bags(table, batch)
        share = 1 / len(batch.rows)
        if self._part == _DECODER:
            z, own = self._drawn(table, batch, bags, None)
            return float(own) + self.reconstruct(z, decoder, bags, Over.SOFTMAX, share)[0]
        values = self.dropped(bags.normalized(), self.model.dropout_prob)
        layer = self.model.encoder.fc1
        first = self.first_layer(layer, bags, values).requires_grad_()
        z, own = self._drawn(table, batch, bags, _code(self.model.encoder, first))
        loss, slopes = self.reconstruct(z, decoder, bags, Over.SOFTMAX, share, fixed=True)
        torch.autograd.backward([z, own], [slopes, None])
        self.first_layer_back(layer, bags, values, first.grad)
        return loss + float(own.detach())

    def _drawn(self, table: Table, batch: Batch, bags: Bags, code: _Code | None) -> _Code:
        """Codes drawn for a batch, and how far they are from the prior: a part of the loss.

        Args:
            code: of the encoder that learns; None for the one that is kept.
        """
        m, users = self.model, table.users[batch.there[0]]
        kept = self._codes()
        before = (kept[0][users], kept[1][users])
        mean, spread = before if code is None else code
        z = m.reparameterize(mean, spread)
        far = (_log_density(z, mean, spread) - self._prior(z, *before)).sum(1)
        return z, (far * (m.gamma * bags.counts if m.gamma else m.beta)).mean()

    def _prior(self, z: torch.Tensor, mean: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        prior = self.model.prior
        parts = (
            _log_density(z, prior.mu_prior, prior.logvar_prior),
            _log_density(z, mean, spread),
            _log_density(z, prior.mu_prior, prior.logvar_uniform_prior),
        )
        weighted = [
            part + math.log(weight) for part, weight in zip(parts, prior.mixture_weights, strict=True)
        ]
        return torch.logsumexp(torch.stack(weighted), dim=0)

    # -- codes ------------------------------------------------------------------------------------

    def _codes(self) -> _Code:
        if self._kept is None:
            users = torch.arange(self.model.n_users, device=self.model.decoder.weight.device)
            self._kept = self._encoded(self.model.prior.encoder_old, users)
        return self._kept

    @torch.no_grad()
    def _encoded(self, encoder: Any, users: torch.Tensor) -> _Code:
        means, spreads = [], []
        for part in torch.split(users, scores.rows_at_once(self.model.n_items)):
            bags = self.histories.all_of(part)
            mean, spread = _code(encoder, self.first_layer(encoder.fc1, bags, bags.normalized()))
            means.append(mean)
            spreads.append(spread)
        return torch.cat(means), torch.cat(spreads)

    def queries(self, table: Table, rows: torch.Tensor) -> torch.Tensor:
        users = table.users[rows.to(table.device)]
        if self._part == _DECODER:  # the encoder has not learnt since it was put away
            return self._codes()[0][users]
        return self._encoded(self.model.encoder, users)[0]

    def candidates(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        return self.model.decoder.weight, self.model.decoder.bias.detach()


def _code(encoder: Any, first: torch.Tensor) -> _Code:
    """RecBole's `Encoder` behind its first layer."""
    total = encoder.ln1(functional.silu(first))
    hidden = total
    for number in (2, 3, 4, 5):
        layer, norm = getattr(encoder, f"fc{number}"), getattr(encoder, f"ln{number}")
        hidden = norm(functional.silu(layer(hidden) + total))
        total = total + hidden
    return encoder.fc_mu(hidden), encoder.fc_logvar(hidden)


def _log_density(x: torch.Tensor, mean: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    """Of normal distributions, each element by itself."""
    return -0.5 * (spread + math.log(2 * math.pi) + (x - mean).pow(2) * (-spread).exp())
