"""DEEP R on full matrices in torch: any architecture, any device."""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Int64

from matchopt.network.methods.deep_rewiring import DeepRewiring
from matchopt.network.methods.rewiring import allot, draw_start
from matchopt.network.sparse_network import SparseNetwork
from matchopt.network.training.autograd import TorchModel
from matchopt.network.training.budgets import matrix_budgets
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.model import sparse_network
from matchopt.network.training.optimisers import Adam, Optimiser, Sgd
from matchopt.network.training.rewiring_kernels import draw_dormant
from matchopt.parts import Parts


class TorchRun(Method):
    """One run of DEEP R; which sites are dormant is kept on the CPU, weights and signs on the device."""

    kept = ("active", "sign", "free", "in_use")
    net: TorchModel

    def __init__(self, options: DeepRewiring, setting: Setting) -> None:
        self._options, self._chance = options, setting.chance
        self._budgets = matrix_budgets(setting.shapes, options.connectivity)
        self.in_use = list(self._budgets)  # connections of every matrix
        sites, parts, signs = draw_start(setting.shapes, self._budgets, setting.start)
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
        self._optimiser = Optimiser(Adam() if options.optimiser == "adam" else Sgd(), self.net.values)
        self.phases = (Phase("rewire", options.epochs, options.batch_size),)

    def step(self, at: Step) -> None:
        """See `Method.step`: steps 1 to 3 of the algorithm."""
        rate, options = self._options.rate(at.done), self._options
        self._optimiser.step(self.net.values, self.net.gradient, rate)
        weights = self.net.flat[: len(self.sign)]
        theta = (weights * self.sign).sub_(rate * options.alpha)
        if options.relative_noise:
            self._generator.manual_seed(int(self._chance.integers(2**62)))
            noise = torch.randn(theta.shape, generator=self._generator, device=theta.device)
            theta.add_(noise, alpha=options.relative_noise * rate)
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
        if self._options.budget == "network":
            given = allot(len(ended), np.array(self._budgets, float), dormant + given, self._chance)
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
        if self._options.redraw_signs:
            signs = (2 * self._chance.integers(0, 2, len(chosen)) - 1).astype(np.float32)
            self.sign[sites] = torch.from_numpy(signs).to(self.sign.device)
        self._optimiser.moments[:, chosen if isinstance(self._optimiser.moments, np.ndarray) else sites] = 0.0

    @property
    def counts(self) -> tuple[int, ...]:
        """See `Method.counts`."""
        return tuple(self.in_use)

    def network(self) -> SparseNetwork:
        """See `Method.network`."""
        parameters = self.net.flat.cpu().numpy()
        return sparse_network(self.net.architecture, parameters, self.active.cpu().numpy(), self.net.state_of_buffers())

    def state(self) -> Parts:
        """See `Method.state`."""
        inner, moments = super().state(), self._optimiser.moments
        arrays = {"moments": moments if isinstance(moments, np.ndarray) else moments.cpu().numpy()}
        return inner | Parts({"optimiser": self._optimiser.facts()}, arrays)

    def restore(self, state: Parts) -> None:
        """See `Method.restore`."""
        super().restore(state)
        self._optimiser = Optimiser.from_facts(state.facts["optimiser"], self.net.values)
        moments, found = self._optimiser.moments, state.arrays["moments"]
        moments[:] = found if isinstance(moments, np.ndarray) else moments.new_tensor(found)
