"""DEEP R on a list of connections: one run, and one step of all connections in compiled loops."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float32, Int8, Int64

from matchopt.instances.architecture import FullyConnected
from matchopt.network.methods.deep_rewiring import DeepRewiring
from matchopt.network.training.budgets import matrix_budgets
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.models import ConnectionModel
from matchopt.network.training.optimisers import Adam, Optimiser
from matchopt.network.training.rewiring_kernels import descend, reactivate
from matchopt.parts import Parts


class ConnectionRun(Method):
    """One run of DEEP R."""

    net: ConnectionModel

    def __init__(self, options: DeepRewiring, setting: Setting) -> None:
        assert isinstance(setting.architecture, FullyConnected)
        budgets = matrix_budgets(setting.shapes, options.connectivity)
        self.net, signs = random_start(setting.architecture.widths, budgets, setting.start)
        noise, redraw = options.relative_noise, options.redraw_signs
        shares = budgets if options.budget == "network" else None
        self._rewiring = Rewiring(self.net, signs, setting.chance, options.alpha, noise, redraw, shares)
        self.phases = (Phase("rewire", options.epochs, options.batch_size),)
        self._rate = options.rate
        self._adam = Optimiser(Adam(), self.net.values) if options.optimiser == "adam" else None

    def step(self, at: Step) -> None:
        """See `Method.step`."""
        rate, gradient = self._rate(at.done), self.net.gradient
        if self._adam is not None:
            self._adam.step(self.net.values, gradient, rate)
            gradient[:] = 0.0
        moments = None if self._adam is None else self._adam.moments
        ended = self._rewiring.step(self.net.values, gradient, rate, moments)
        if moments is not None:
            moments[:, ended] = 0.0

    @property
    def counts(self) -> tuple[int, ...]:
        """See `Method.counts`; they change where only the sum is kept."""
        return tuple(np.diff(self.net.first_connection).tolist())

    def state(self) -> Parts:
        """See `Method.state`: which sites are dormant, in the order in which they are drawn, and the signs."""
        rewiring, inner = self._rewiring, super().state()
        own = {"sign": rewiring.sign, "free": rewiring.free, "n_free": rewiring.n_free}
        found = inner | Parts({}, own | {"first_connection": self.net.first_connection})
        if self._adam is None:
            return found
        return found | Parts({"adam": self._adam.facts()}, {"moments": self._adam.moments})

    def restore(self, state: Parts) -> None:
        """See `Method.restore`."""
        super().restore(state)
        for name in ("sign", "free", "n_free"):
            getattr(self._rewiring, name)[:] = state.arrays[name]
        self.net.first_connection[:] = state.arrays["first_connection"]
        if self._adam is not None:
            self._adam = Optimiser.from_facts(state.facts["adam"], self.net.values)
            self._adam.moments[:] = state.arrays["moments"]


class Rewiring:
    """One step of algorithm 1 on the connections of `model`, whose number never changes.

    Parameters
    ----------
    model : the network; its connections move in place.
    signs : sign of every site of every layer, +1 or -1, in the order of the dense weights.
    rng : draws noise, sites and, if asked to, signs.
    alpha : strength of the l1 prior.
    relative_noise : standard deviation of the noise per step, divided by the learning rate.
    redraw_signs : whether a site gets a new sign when it becomes active.
    shares : how likely every layer is to get a connection that ended, up to a factor; None where each layer keeps
        its own.
    """

    def __init__(
        self,
        model: ConnectionModel,
        signs: Int8[np.ndarray, " sites"],
        rng: np.random.Generator,
        alpha: float,
        relative_noise: float,
        redraw_signs: bool,
        shares: Sequence[int] | None = None,
    ) -> None:
        self._model, self._rng, self._shares = model, rng, shares
        self._alpha, self._relative_noise, self._redraw_signs = alpha, relative_noise, redraw_signs
        self.signs: Float32[np.ndarray, " sites"] = signs.astype(np.float32)
        sizes = [m * n for n, m in pairwise(model.widths)]
        self._first_site = np.concatenate([[0], np.cumsum(sizes)])
        self.free, self.n_free = np.zeros(sum(sizes), np.int64), np.zeros(len(sizes), np.int64)
        active = []
        for layer, size in enumerate(sizes):
            sites = model.sites(layer)
            dormant = np.setdiff1d(np.arange(size), sites)
            start = self._first_site[layer]
            self.free[start : start + len(dormant)], self.n_free[layer] = dormant, len(dormant)
            active.append(self.signs[start + sites])
        self.sign: Float32[np.ndarray, " k"] = np.concatenate(active)
        self._noise = np.zeros(len(self.sign), np.float32)
        self._ended = np.zeros(len(self.sign), np.int64)

    def step(
        self,
        values: Float32[np.ndarray, " p"],
        gradient: Float32[np.ndarray, " p"],
        rate: float,
        moments: Float32[np.ndarray, "n p"] | None = None,
    ) -> Int64[np.ndarray, " ended"]:
        """Steps 1 to 3 of the algorithm, with learning rate `rate`; returns the places of the sites that moved.

        Connections may change places between layers; numbers kept per parameter, `moments`, then follow.
        """
        if self._relative_noise:
            self._rng.standard_normal(out=self._noise, dtype=np.float32)
            self._noise *= np.float32(self._relative_noise * rate)
        model = self._model
        structure = (model.source, model.target, model.first_connection, model.first_unit, self._first_site)
        dormant = (self.free, self.n_free)
        speed = (np.float32(rate), np.float32(rate * self._alpha))
        count = descend(values, gradient, self._noise, self.sign, *structure, *dormant, *speed, self._ended)
        ended = self._ended[:count]
        if count:
            if self._shares is not None:
                ended = self._change_layers(values, ended, moments)
            draws = self._rng.random(count)
            reactivate(values, self.sign, *structure, *dormant, self.signs, ended, draws)
            if self._redraw_signs:
                self.sign[ended] = 2 * self._rng.integers(0, 2, count) - 1
        return ended

    def _change_layers(
        self, values: np.ndarray, ended: Int64[np.ndarray, " ended"], moments: np.ndarray | None
    ) -> Int64[np.ndarray, " ended"]:
        """Draw a layer for every connection that ended, and bring the list into the order of layers; their places."""
        model, shares = self._model, np.array(self._shares, float)
        layer_of = np.repeat(np.arange(len(shares)), np.diff(model.first_connection))
        layer_of[ended] = np.repeat(np.arange(len(shares)), allot(len(ended), shares, self.n_free, self._rng))
        order = np.argsort(layer_of, kind="stable")
        kept = [model.source, model.target, self.sign, values[: len(order)]]
        for array in [*kept, *(() if moments is None else moments[:, : len(order)])]:
            array[:] = array[order]
        model.first_connection[1:] = np.cumsum(np.bincount(layer_of, minlength=len(shares)))
        is_new = np.zeros(len(order), bool)
        is_new[ended] = True
        return np.flatnonzero(is_new[order])


def allot(
    count: int, shares: Float[np.ndarray, " layers"], room: Int64[np.ndarray, " layers"], rng: np.random.Generator
) -> Int64[np.ndarray, " layers"]:
    """How many of `count` connections every layer gets: each drawn by the shares of those layers with room left.

    Parameters
    ----------
    count : connections, at most the sum of `room`.
    shares : of every layer, >= 0, up to a factor; layers without a share get some only when no other has room.
    room : dormant sites of every layer.
    rng : draws.
    """
    given = np.zeros_like(room)
    while count:
        open_shares = np.where(room > given, shares, 0.0)
        if not open_shares.any():
            open_shares = (room > given).astype(float)
        drawn = rng.multinomial(count, open_shares / open_shares.sum())
        taken = np.minimum(drawn, room - given)
        given += taken
        count -= int(taken.sum())
    return given


def random_start(
    widths: tuple[int, ...], budgets: Sequence[int], rng: np.random.Generator
) -> tuple[ConnectionModel, Int8[np.ndarray, " sites"]]:
    """A model of connections as `draw_start` draws them, zero biases; and the sign of every site."""
    sites, parts, signs = draw_start([(m, n) for n, m in pairwise(widths)], budgets, rng)
    values = np.concatenate([*parts, np.zeros(sum(widths[1:]))]).astype(np.float32)
    return ConnectionModel(widths, sites, values), signs


def draw_start(
    shapes: Sequence[tuple[int, int]], budgets: Sequence[int], rng: np.random.Generator
) -> tuple[list[Int64[np.ndarray, " _"]], list[Float32[np.ndarray, " _"]], Int8[np.ndarray, " sites"]]:
    """Per matrix distinct random sites and their weights, theta = |N(0, 1)| / sqrt(inputs); fair signs of all sites."""
    chosen, parts, signs = [], [], []
    for (m, n), budget in zip(shapes, budgets, strict=True):
        sites = np.sort(rng.choice(m * n, budget, replace=False))
        sign = (2 * rng.integers(0, 2, m * n) - 1).astype(np.int8)
        theta = np.abs(rng.standard_normal(budget, np.float32)) / np.float32(n**0.5)
        chosen.append(sites)
        parts.append(sign[sites] * theta)
        signs.append(sign)
    return chosen, parts, np.concatenate(signs)
