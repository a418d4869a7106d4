"""DEEP R: one run on a list of connections, and one on full matrices."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Float32, Int8, Int64

from matchopt.instances.architecture import FullyConnected
from matchopt.network.sparse_network import SparseNetwork
from matchopt.network.training.autograd import TorchModel
from matchopt.network.training.fully_connected import ConnectionModel
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.model import sparse_network
from matchopt.network.training.optimisers import Adam, Optimiser, Sgd
from matchopt.network.training.rewiring_kernels import descend, draw_dormant, reactivate
from matchopt.network.training.tensors import on_cpu
from matchopt.parts import Parts


@dataclass(frozen=True)
class RewiringPlan:
    """What `DeepRewiring` makes of its options, which it explains.

    Parameters
    ----------
    budgets : connections that every matrix begins with.
    relative_noise : standard deviation of the noise per step, divided by the learning rate.
    shared : whether only the sum of the budgets is kept.
    rate : learning rate when a share of training, 0 .. 1, is over.
    """

    phase: Phase
    budgets: tuple[int, ...]
    alpha: float
    relative_noise: float
    shared: bool
    redraw_signs: bool
    adam: bool
    rate: Callable[[float], float]


class ListedRewiring(Method):
    """One run of DEEP R on a list of connections."""

    net: ConnectionModel

    def __init__(self, plan: RewiringPlan, setting: Setting) -> None:
        assert isinstance(setting.architecture, FullyConnected)
        self.net, signs = random_start(setting.architecture.widths, plan.budgets, setting.start)
        shares = plan.budgets if plan.shared else None
        noise, redraw = plan.relative_noise, plan.redraw_signs
        self._rewiring = Rewiring(self.net, signs, setting.chance, plan.alpha, noise, redraw, shares)
        self.phases, self._rate = (plan.phase,), plan.rate
        self._adam = Optimiser(Adam(), self.net.values) if plan.adam else None

    def step(self, at: Step) -> None:
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
        super().restore(state)
        for name in ("sign", "free", "n_free"):
            getattr(self._rewiring, name)[:] = state.arrays[name]
        self.net.first_connection[:] = state.arrays["first_connection"]
        if self._adam is not None:
            self._adam = Optimiser.from_facts(state.facts["adam"], self.net.values, state.arrays["moments"])


class MatrixRewiring(Method):
    """One run of DEEP R on full matrices in torch, for any architecture and device.

    Which sites are dormant is kept on the CPU, weights and signs on the device.
    """

    kept = ("active", "sign", "free", "in_use")
    net: TorchModel

    def __init__(self, plan: RewiringPlan, setting: Setting) -> None:
        self._plan, self._chance = plan, setting.chance
        self.in_use = list(plan.budgets)  # connections of every matrix
        sites, parts, signs = draw_start(setting.shapes, plan.budgets, setting.start)
        self._starts = np.cumsum([0, *(m * n for m, n in setting.shapes)])
        values = np.zeros(self._starts[-1] + sum(m for m, _ in setting.shapes), np.float32)
        active, free = np.zeros(self._starts[-1], bool), []
        for first, chosen, part in zip(self._starts, sites, parts, strict=False):
            values[first + chosen], active[first + chosen] = part, True
        for first, after in pairwise(self._starts):
            dormant = np.flatnonzero(~active[first:after])
            free.append(np.concatenate([dormant, np.zeros(after - first - len(dormant), np.int64)]))
        self.net = TorchModel(setting.architecture, values, setting.device, setting.noise)
        self.free = np.concatenate(free)  # per matrix: its dormant sites first
        self.active = torch.tensor(active, device=setting.device)
        self.sign = torch.tensor(signs.astype(np.float32), device=setting.device)
        self._generator = torch.Generator(setting.device)
        self._optimiser = Optimiser(Adam() if plan.adam else Sgd(), self.net.values)
        self.phases = (plan.phase,)

    def step(self, at: Step) -> None:
        """See `Method.step`: steps 1 to 3 of the algorithm."""
        rate, plan = self._plan.rate(at.done), self._plan
        self._optimiser.step(self.net.values, self.net.gradient, rate)
        weights = self.net.flat[: len(self.sign)]
        theta = (weights * self.sign).sub_(rate * plan.alpha)
        if plan.relative_noise:
            self._generator.manual_seed(int(self._chance.integers(2**62)))
            noise = torch.randn(theta.shape, generator=self._generator, device=theta.device)
            theta.add_(noise, alpha=plan.relative_noise * rate)
        alive = self.active & (theta >= 0)  # dormant sites do not move, whatever the optimiser did
        weights.copy_(theta.mul_(self.sign).mul_(alive))
        ended = (self.active & ~alive).nonzero().flatten().cpu().numpy()
        if len(ended):
            self.active = alive
            self._activate(self._drawn(ended))

    def _drawn(self, ended: Int64[np.ndarray, " ended"]) -> Int64[np.ndarray, " ended"]:
        """As many dormant sites as ended, those included; of the same matrix, or wherever they are allotted."""
        chosen = []
        bounds = np.searchsorted(ended, self._starts)
        given = np.diff(bounds)
        dormant = np.diff(self._starts) - self.in_use
        if self._plan.shared:
            given = allot(len(ended), np.array(self._plan.budgets, float), dormant + given, self._chance)
        for layer, (a, b) in enumerate(pairwise(bounds)):
            first, after = self._starts[layer : layer + 2]
            draws, found = self._chance.random(given[layer]), np.zeros(given[layer], np.int64)
            draw_dormant(self.free[first:after], dormant[layer], ended[a:b] - first, draws, found)
            chosen.append(first + found)
            self.in_use[layer] += int(given[layer] - (b - a))
        return np.concatenate(chosen)

    def _activate(self, chosen: Int64[np.ndarray, " ended"]) -> None:
        """Begin with theta = 0 at these sites, without memory."""
        sites = torch.from_numpy(chosen).to(self.active.device)
        self.active[sites] = True
        if self._plan.redraw_signs:
            signs = (2 * self._chance.integers(0, 2, len(chosen)) - 1).astype(np.float32)
            self.sign[sites] = torch.from_numpy(signs).to(self.sign.device)
        self._optimiser.moments[:, chosen if isinstance(self._optimiser.moments, np.ndarray) else sites] = 0.0

    @property
    def counts(self) -> tuple[int, ...]:
        return tuple(self.in_use)

    def network(self) -> SparseNetwork:
        net = self.net
        return sparse_network(net.architecture, on_cpu(net.values), on_cpu(self.active), net.buffers)

    def state(self) -> Parts:
        optimiser = self._optimiser
        return super().state() | Parts({"optimiser": optimiser.facts()}, {"moments": on_cpu(optimiser.moments)})

    def restore(self, state: Parts) -> None:
        super().restore(state)
        facts, moments = state.facts["optimiser"], state.arrays["moments"]
        self._optimiser = Optimiser.from_facts(facts, self.net.values, moments)


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
