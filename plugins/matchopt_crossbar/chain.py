"""Weight errors of chained arrays: assignments of one permutation after the other."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from matchopt import Limit, Limits, NetworkInstance, PositiveFloat, PositiveInt
from matchopt_crossbar.chaining import Chaining
from matchopt_crossbar.cooling import Cooling

if TYPE_CHECKING:
    from matchopt_crossbar.chain_search import Chain

WORK = 5e8  # entries of the tables of costs, over all rounds
MOST_ROUNDS, FEWEST, ONE_COOLING = 4000, 40, 500  # of all permutations
HOT, COLD = 1.5, 0.3  # first and last temperature, in typical changes


@dataclass(frozen=True)
class ChainAlternation(Chaining):
    """Every permutation of chained arrays in turn by one exact assignment, all others fixed, from random starts.

    The inputs of the first array go on lines; the rows of each array go on neurons, for what they cost there and what
    they cost as inputs of the next array on those neurons' lines. The error falls until no permutation alone improves
    it. Gains are fitted in the end. The bound is the sum of the arrays' own.

    Parameters
    ----------
    starts : random starts, besides the one given, >= 1.
    ascent : share of the time limit that goes into the relaxations' bounds; 0 for none.

    References
    ----------
    A. Custic, V. Sokol, A. Punnen, B. Bhattacharya, "The bilinear assignment problem: complexity and polynomially
    solvable special cases", Mathematical Programming 166 (2017), doi:10.1007/s10107-017-1111-1.
    """

    name = "chain-alternate"

    starts: PositiveInt = 20

    def run(self, instance: NetworkInstance, chain: "Chain", limits: Limits) -> tuple[Limit | None, int]:
        """See `Chaining.run`."""
        done = 0
        for _ in limits.steps(self.starts):
            chain.start()
            chain.descend(limits.reached)
            self.offer(instance, chain, limits)
            done += 1
        return None if done == self.starts else limits.reached() or Limit.ITERATION, done


@dataclass(frozen=True)
class ChainPerturbation(Chaining):
    """The assignments of `chain-alternate` under noise that fades; the best seen is brought to a local optimum.

    Parameters
    ----------
    rounds : assignments of all permutations; None for what suits the size. Cooling ends with the time limit where that
        is shorter.
    hot, cold : first and last factor of the noise, of a typical change of the cost.
    ascent : share of the time limit that goes into the relaxations' bounds; 0 for none.

    References
    ----------
    G. Papandreou, A. Yuille, "Perturb-and-MAP random fields", ICCV 2011, doi:10.1109/ICCV.2011.6126242 (minima under
    noise in place of samples).
    """

    name = "chain-perturb"

    rounds: PositiveInt | None = None
    hot: PositiveFloat = field(default=HOT, kw_only=True)
    cold: PositiveFloat = field(default=COLD, kw_only=True)

    def run(self, instance: NetworkInstance, chain: "Chain", limits: Limits) -> tuple[Limit | None, int]:
        """See `Chaining.run`."""
        rounds = self.rounds or int(min(MOST_ROUNDS, max(FEWEST, WORK / chain.size)))

        def sweep(count: int, heat: float, ratio: float) -> float:
            for _ in range(count):
                chain.sweep(heat)
                heat *= ratio
            return heat

        def settle() -> None:
            chain.places = list(chain.best)
            chain.descend(limits.reached)
            self.offer(instance, chain, limits)

        cooling = Cooling(self.hot, min(self.cold, self.hot), rounds, max(1, rounds // ONE_COOLING))
        done, limit = cooling.run(sweep, lambda: None, limits, settle)
        return limit, done
