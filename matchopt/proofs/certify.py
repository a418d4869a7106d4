"""The one entrance of the proofs: from an instance and a solution to a certificate."""

import importlib
import math
import threading
from dataclasses import replace

from matchopt.errors import Refused
from matchopt.instances import (
    Assignment,
    AssignmentInstance,
    Instance,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    Solution,
)
from matchopt.instances.demands import AT_0_1, understanding
from matchopt.proofs.assignment import certify_assignment
from matchopt.proofs.budget import certify_budget
from matchopt.proofs.certificate import PROVED_WITHIN, TINY, Certificate
from matchopt.proofs.crossbar import certify_crossbar
from matchopt.proofs.effort import Effort
from matchopt.proofs.hard_wired import certify_hard_wired
from matchopt.proofs.lattice import UNDERSTOOD as LATTICE
from matchopt.proofs.lattice import lattice_bound
from matchopt.proofs.layer import certify_layer
from matchopt.proofs.menus import certify_menus
from matchopt.proofs.one_chip import certify_one_chip
from matchopt.proofs.parts import certify_parts
from matchopt.proofs.separable import LARGE
from matchopt.proofs.sums import certify_sums

# What layers may ask for is left to their own proofs; biases change no sum of layers' errors.
_NETWORK = AT_0_1["network"] | {"several-neurons", "copies", "one-chip", "chained", "hard-wired"}
_NETWORK |= {"programmable-cells", "write-budget"}
_NETWORK -= {"task-loss", "functional-error", "score-error"}


def prepare(instance: Instance) -> None:
    """Load what the proof of a large layer runs, in a thread of its own, while this process waits for a solver."""
    for layer in instance.layers if isinstance(instance, NetworkInstance) else (instance,):
        shared = isinstance(layer, LayerInstance) and not layer.hardware.free_routing
        large = isinstance(layer, LayerInstance) and layer.target.n_connections * layer.hardware.n_neurons >= LARGE
        if shared or large:
            module = "matchopt.proofs.crossbar_loops" if shared else "matchopt.proofs.loops"
            threading.Thread(target=importlib.import_module, args=(module,)).start()
            return


def certify(instance: Instance, solution: Solution, *, seconds: float | None = None) -> Certificate:
    """Prove a lower bound on the objective of `instance` and, if it can be done, that `solution` is optimal.

    Parameters
    ----------
    instance : an assignment, a separable layer, one whose neurons share lines (some sixteen rows on one bus are proved
        by branch and bound; a bound else), one with a budget of tunable weights (a bound, which the optimum meets as a
        rule), or a network of such layers.
    solution : a feasible solution of it; `matchopt.check` must have passed.
    seconds : time to spend; None for a fixed amount of work, of half a minute on one core or less, so that what is
        proved does not depend on the machine. When it is spent the bound reached so far is returned.

    Returns
    -------
    Certificate
        exact on integers; on floats the bound is rounded down and `optimal` means to within `allowance`.

    Raises
    ------
    Refused
        when there is no independent proof for this kind of instance, or the solution is visibly infeasible.
    """
    found, effort = None, Effort.of(seconds)
    match instance, solution:
        case AssignmentInstance(), Assignment():
            found = certify_assignment(instance, solution, effort)
        case LayerInstance(), LayerMapping():
            found = _certify_layer(instance, solution, effort)
        case NetworkInstance(), NetworkMapping():
            found = _certify_network(instance, solution, effort)
    if found is not None and not found.optimal:
        found = _by_units(instance, solution, found)
    if found is not None and found.optimal and found.allowance > 0:
        objective = instance.value(solution)
        close = objective - found.bound <= PROVED_WITHIN * abs(objective) + TINY
        return found if close else replace(found, optimal=False)
    if found is not None:
        return found
    kinds = [getattr(one, "kind", f"no kind but a {type(one).__name__}") for one in (solution, instance)]
    if len(set(kinds)) == 2:
        raise Refused(f"the solution is of kind {kinds[0]}, its instance of kind {kinds[1]}")
    raise Refused(f"no independent proof of a bound on {instance.kind} instances is known here")


def _by_units(instance: Instance, solution: Solution, found: Certificate) -> Certificate:
    """What is known, or what follows from a unit of all cells where that is more."""
    whole = isinstance(instance, NetworkInstance)
    layers = getattr(instance, "layers", ()) if whole else (instance,)
    bounds = [
        lattice_bound(layer) if isinstance(layer, LayerInstance) and layer.demands <= LATTICE else None
        for layer in layers
    ]
    if None in bounds or not layers or (whole and getattr(instance, "objective", None) is not None):
        return found
    bound, objective = math.fsum(known[1] for known in bounds if known is not None), instance.value(solution)
    if bound <= found.bound:
        return found
    allowance = 1e-9 * abs(objective)
    return Certificate(bound, objective - bound <= allowance, False, allowance, "multiples of a unit")


def _certify_layer(layer: LayerInstance, mapping: LayerMapping, effort: Effort) -> Certificate:
    if layer.hardware.hard_wired:
        return certify_hard_wired(layer, mapping, effort)
    if layer.rules.neurons > 1:
        return certify_parts(layer, mapping, effort)
    if layer.rules.cells_per_weight > 1:
        return certify_sums(layer, mapping, effort)
    if "shared-bus" in layer.demands:
        return certify_crossbar(layer, mapping, effort)
    if not layer.demands.isdisjoint({"programmable-cells", "write-budget"}):
        return certify_menus(layer, mapping, effort)
    if layer.rules.tunable > 0:
        return certify_budget([layer], [mapping], math.inf, effort)
    return certify_layer(layer, mapping, effort)


@understanding("the proof of a bound on networks", _NETWORK)
def _certify_network(instance: NetworkInstance, mapping: NetworkMapping, effort: Effort) -> Certificate:
    """The layers' bounds add up; layer n may spend what is left, shared with those still to come."""
    if len(mapping.layers) != len(instance.layers):
        raise Refused("the mapping is not feasible, so there is nothing to prove; matchopt.check tells why")
    if instance.one_chip:
        try:
            return certify_one_chip(instance, mapping, effort)
        except Refused:
            pass  # a bound that counts no sharing is one
    found: list[Certificate] = []
    total, duals = math.inf if instance.tunable is None else instance.tunable, {}
    pairs = dict(enumerate(zip(instance.layers, mapping.layers, strict=True)))
    if total == 0:
        pairs = {n: (replace(layer, rules=replace(layer.rules, tunable=0)), part) for n, (layer, part) in pairs.items()}
    elif total < sum(layer.rules.tunable for layer in instance.layers):  # the layers share it
        sharing = [n for n, layer in enumerate(instance.layers) if layer.rules.tunable > 0]
        layers, parts = zip(*(pairs.pop(n) for n in sharing), strict=True)
        found.append(certify_budget(layers, parts, total, effort))
        duals = dict(zip(sharing, found[0].duals, strict=True))
    for turn, (n, (layer, part)) in enumerate(pairs.items()):
        share = effort.share(len(pairs) - turn)
        try:
            allowed = share.steps
            found.append(_certify_layer(layer, part, share))
            duals |= dict(zip([n], found[-1].duals, strict=False))  # of one layer, or none
            effort.spend(allowed - share.steps if allowed < math.inf else 0.0)  # steps are not counted under a time
        except Refused as cause:
            raise Refused(f"layer {n}: {cause}") from None
    return Certificate(
        bound=math.fsum(part.bound for part in found),
        optimal=all(part.optimal for part in found),
        improvable=any(part.improvable for part in found) and not (instance.one_chip or instance.chained),
        allowance=math.fsum(part.allowance for part in found),
        method="sum of layers",
        duals=tuple(duals[n] for n in sorted(duals))
        if len(duals) == len(instance.layers) and not instance.one_chip
        else (),
    )
