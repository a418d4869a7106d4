"""Connections that each choose one of a few fixed values: by one latent each, or by one score per value."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32

from matchopt.network.training.model import Shapes, segments
from matchopt.network.training.optimisers import Adam, Optimiser, Rule, Sgd
from matchopt.network.training.selection import Selection
from matchopt.network.training.slot_kernels import envelope, nearest_breaks, take, take_drawn, take_highest
from matchopt.network.training.tensors import as_tensor, is_cpu, on_device
from matchopt.parts import Parts

Law = Literal["uniform", "normal"]
Share = Literal["connection", "layer", "network"]
Tables = list[Float32[np.ndarray, "_ _"]]  # one row per connection, or one for all; a column per value


def draw_values(
    shapes: Shapes, count: int, bounds: Sequence[float], law: Law, share: Share, rng: np.random.Generator
) -> Tables:
    """Fixed values per matrix: one row per connection, or a single row for all of them.

    Parameters
    ----------
    shapes : rows and columns of every matrix.
    count : values per connection.
    bounds : largest magnitude of the uniform law, per matrix; "normal" has its standard deviation, bound / sqrt(3).
    law : which.
    share : who has the same values; with "network" the bound is the mean of all.
    rng : draws them.
    """

    def draw(rows: int, bound: float) -> Float32[np.ndarray, "rows values"]:
        if law == "normal":
            return rng.standard_normal((rows, count), np.float32) * np.float32(bound / 3.0**0.5)
        found: Float32[np.ndarray, "rows values"] = rng.random((rows, count), np.float32)
        found *= np.float32(2.0 * bound)
        found -= np.float32(bound)
        return found

    if share == "network":
        return [draw(1, float(np.mean(bounds)))] * len(shapes)
    rows = [1 if share == "layer" else m * n for m, n in shapes]
    return [draw(number, bound) for number, bound in zip(rows, bounds, strict=True)]


class LatentSlots(Selection):
    """Greedy selection with one latent per connection, which gets the gradient of the connection's weight.

    Under gradient descent this is what scores do, at a fraction of the cost. The gradient of the score of value W is
    g W, so all scores of a connection stay on lines: score = factor * start + latent * W, where the latent follows the
    optimiser on g, and the factor, which is the same everywhere, on 0: it is 1 without weight decay. With starts
    -W^2 / 2 the highest line is that of the value nearest to latent / factor.

    Parameters
    ----------
    shapes : rows and columns of every matrix.
    tables : fixed values, as `draw_values` gives them.
    scores : starts of the scores, one row per connection; None for -W^2 / 2.
    latent : where the latents start, all matrices flat.
    rule : moves the latents; its decay is that of the scores.
    device : where.
    penalty : l2 penalty on the latents, added to their gradient as penalty * latent.
    """

    def __init__(
        self,
        shapes: Shapes,
        tables: Tables,
        scores: Tables | None,
        latent: Float32[np.ndarray, " weights"],
        rule: Adam | Sgd,
        device: str,
        penalty: float = 0.0,
    ) -> None:
        super().__init__(on_device(latent, device), replace(rule, decay=rule.decay + penalty))
        self._parts, self._on_cpu = segments(shapes), is_cpu(device)
        self._factor = np.ones(1, np.float32)
        self._fading, self._fades = Optimiser(rule, self._factor), rule.decay > 0.0
        lines = [_lines(table, None if scores is None else scores[n]) for n, table in enumerate(tables)]
        self._lines = [(on_device(slopes, device), on_device(breaks, device)) for slopes, breaks in lines]
        if self._on_cpu:
            self._low, self._high = np.empty_like(latent), np.empty_like(latent)
            self._forget()

    def fill(self, weights: Any, training: bool) -> None:
        del training
        for part, (slopes, breaks) in zip(self._parts, self._lines, strict=True):
            latent, factor = self.values[part], self._factor[0]
            if self._on_cpu:
                take(latent, slopes, breaks, factor, self._low[part], self._high[part], weights[part])
            else:
                place = (latent[:, None] >= float(factor) * breaks).sum(1)
                weights[part] = slopes.expand(len(latent), -1).gather(1, place[:, None])[:, 0]

    def step(self, gradient: Any, rate: float) -> None:
        self.optimiser.step(self.values, gradient, rate)
        if self._fades:
            self._fading.step(self._factor, np.zeros(1, np.float32), rate)

    def state(self) -> Parts:
        return super().state() | Parts({}, {"factor": self._factor, "fading": self._fading.moments})

    def restore(self, state: Parts) -> None:
        super().restore(state)
        self._factor[:], self._fading.moments[:] = state.arrays["factor"], state.arrays["fading"]
        if self._on_cpu:
            self._forget()

    def _forget(self) -> None:
        """Every connection is looked at when weights are filled in next."""
        self._low[:], self._high[:] = np.inf, -np.inf


class ScoreSlots(Selection):
    """One score per connection and value.

    Parameters
    ----------
    shapes, tables, rule, device : as of `LatentSlots`; the rule moves the scores.
    scores : starts of the scores, one row per connection.
    sampling : None takes the value of the highest score; a generator draws it anew for every batch of training, with
        the probabilities softmax(scores).
    """

    def __init__(
        self,
        shapes: Shapes,
        tables: Tables,
        scores: Tables,
        rule: Rule,
        device: str,
        sampling: np.random.Generator | None = None,
    ) -> None:
        # values before connections: then every operation runs along memory
        flat = np.ascontiguousarray(np.concatenate(scores).T)
        super().__init__(on_device(flat.reshape(-1), device), rule)
        self._parts, self._sampling = segments(shapes), sampling
        self._tables = [torch.from_numpy(np.ascontiguousarray(table.T)).to(device) for table in tables]
        self.scores: torch.Tensor = as_tensor(self.values).view(flat.shape)
        self._slopes, self._generator = torch.empty_like(self.scores), torch.Generator(device)
        self._room = np.empty(flat.shape[1], np.float32)

    def fill(self, weights: Any, training: bool) -> None:
        draw = training and self._sampling is not None
        if isinstance(weights, np.ndarray):
            self._fill_compiled(weights, draw)
            return
        if draw and self._sampling is not None:
            self._generator.manual_seed(int(self._sampling.integers(2**62)))
        for part, table in zip(self._parts, self._tables, strict=True):
            scores = self.scores[:, part]
            weights[part] = drawn(scores, table, self._generator) if draw else highest(scores, table)

    def _fill_compiled(self, weights: Float32[np.ndarray, " weights"], draw: bool) -> None:
        if draw and self._sampling is not None:
            self._sampling.random(out=self._room, dtype=np.float32)
            torch.sub(self.scores, self.scores.amax(0), out=self._slopes).exp_()
        for part, table in zip(self._parts, self._tables, strict=True):
            source = self._slopes if draw else self.scores
            fill = take_drawn if draw else take_highest
            fill(source.numpy(), part.start, table.numpy(), self._room[part], weights[part])

    def step(self, gradient: Any, rate: float) -> None:
        """See `Selection.step`: the score of value W gets the gradient g W."""
        slope = as_tensor(gradient)
        for part, table in zip(self._parts, self._tables, strict=True):
            torch.mul(slope[part], table, out=self._slopes[:, part])
        flat = self._slopes.view(-1)
        self.optimiser.step(self.values, flat.numpy() if isinstance(self.values, np.ndarray) else flat, rate)


def drawn(scores: torch.Tensor, table: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A value per connection, with the probabilities softmax(scores)."""
    shares = scores.softmax(0)
    left = torch.rand(scores.shape[1], generator=generator, device=scores.device)
    found = table[0].expand(scores.shape[1])
    for share, value in zip(shares[:-1], table[1:], strict=True):
        left = left - share
        found = torch.where(left >= 0, value, found)
    return found


def highest(scores: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """The value of the highest score per connection; of equal ones the first."""
    best, found = scores[0], table[0]
    for score, value in zip(scores[1:], table[1:], strict=True):
        found = torch.where(score > best, value, found)
        best = torch.maximum(score, best)
    return found.expand(scores.shape[1])


def starts_of(
    tables: Tables, sizes: Sequence[int], scales: Sequence[float] | None, latent: np.ndarray, rng: np.random.Generator
) -> Tables:
    """Starts of the scores, one row per connection.

    Parameters
    ----------
    tables : fixed values.
    sizes : number of connections per matrix.
    scales : upper bounds of the uniform law that they are drawn from, per matrix; None for -W^2 / 2 + latent W.
    latent : latents of all connections, flat.
    rng : draws them.
    """
    found, ends = [], np.cumsum([0, *sizes])
    for n, (table, size) in enumerate(zip(tables, sizes, strict=True)):
        if scales is not None:
            found.append(rng.random((size, table.shape[1]), np.float32) * np.float32(scales[n]))
        else:
            found.append(table * (latent[ends[n] : ends[n + 1], None] - np.float32(0.5) * table))
    return found


def _lines(table: np.ndarray, scores: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and breaks of the highest lines; see `matchopt.network.training.slot_kernels`."""
    rows, count = len(table) if scores is None else len(scores), table.shape[1]
    slopes, breaks = np.empty((rows, count), np.float32), np.empty((rows, count - 1), np.float32)
    if scores is None:
        slopes[:] = table
        nearest_breaks(slopes, breaks)
    else:
        envelope(table, scores, slopes, breaks)
    return slopes, breaks
