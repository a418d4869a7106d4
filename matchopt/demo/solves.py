"""Every solver on every instance, two at a time; what an earlier run finished is not done again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matchopt.demo.cases import Case
from matchopt.demo.plan import Plan, Regime
from matchopt.errors import MatchoptError
from matchopt.formats import SolutionFile, read_solution, write
from matchopt.grid.records import ResultLog, content_key, task_key
from matchopt.instances import NetworkInstance, NetworkMapping, ProgramInstance
from matchopt.network import ImageData, measure, realise
from matchopt.plugins import Registry, load_plugins
from matchopt.run import Run, Task, solve_all
from matchopt.solver import Allowance, Limit, Status
from matchopt.terminal.progress import Progress


class Campaign:
    """All solves of the demo.

    Parameters
    ----------
    plan : what to do.
    data : measures accuracies.
    folder : gets the solutions; `results.jsonl` beside it keeps the records.
    plugin_files : plugin files to load besides the installed plugins.
    jobs : solves at a time.
    """

    def __init__(
        self, plan: Plan, data: ImageData, folder: Path, plugin_files: Sequence[Path] = (), jobs: int = 2
    ) -> None:
        self._plan, self._data, self._folder, self._jobs = plan, data, folder, jobs
        self._files = tuple(plugin_files)
        self._registry: Registry = load_plugins(plugin_files)
        self._log = ResultLog(folder / "results.jsonl")
        self.reused = 0

    def run(self, cases: Sequence[Case]) -> list[dict[str, Any]]:
        """The records of all solves, case by case.

        On the first draw of a regime every solver gets a chance; one that gives nothing there, or spends all its time,
        is not asked about the other draws.
        """
        firsts = [case for case in cases if case.draw == self._plan.seed]
        records = self._solve([(case, solver) for case in firsts for solver in self._solvers(case.regime)])
        quick = {
            (record["regime"], record["solver"])
            for record in records
            if record["objective"] is not None and record["limit"] is None
        }
        others = [case for case in cases if case.draw != self._plan.seed]
        pairs = [(case, s) for case in others for s in self._solvers(case.regime) if (case.regime.name, s) in quick]
        return records + self._solve(pairs)

    def _solvers(self, regime: Regime) -> list[str]:
        """Solvers of whole networks where outputs or labels are asked about, all others where weights are."""
        whole = regime.question != "weights"
        found = [
            name for name, entry in self._registry.solvers.items() if (entry.cls.solves is NetworkInstance) == whole
        ]
        here = self._registry.solvers
        known = [names for names in regime.pipelines if all(name in here for name in names.split("+"))]
        return found + known

    def _solve(self, pairs: Sequence[tuple[Case, str]]) -> list[dict[str, Any]]:
        keys = [self._key(case, solver) for case, solver in pairs]
        missing = [n for n, key in enumerate(keys) if not self._is_done(key)]
        self.reused += len(pairs) - len(missing)
        missing.sort(key=lambda n: self._is_quick(pairs[n][1]))  # longest first
        tasks = [self._task(*pairs[n]) for n in missing]
        with Progress(f"solving, {self._jobs} at a time", len(tasks)) as bar:
            done = 0

            def finished(number: int, run: Run) -> None:
                nonlocal done
                done += 1
                case, _ = pairs[missing[number]]
                self._log.append(keys[missing[number]], self._record(case, run))
                bar.update(done, f"{run.solver} on {case.instance.name}")

            solve_all(tasks, jobs=self._jobs, on_run=finished)
        return [record for key in keys if (record := self._log.get(key)) is not None]

    def _is_quick(self, solver: str) -> bool:
        """Whether a solver is one of those that are done in a second or two."""
        kinds = [self._registry.solvers[name].cls.solves for name in solver.split("+")]
        return ProgramInstance not in kinds and NetworkInstance not in kinds

    def _task(self, case: Case, solver: str) -> Task:
        return Task(case.instance, solver, allowance=Allowance(case.regime.seconds), plugin_files=self._files)

    def _key(self, case: Case, solver: str) -> str:
        return content_key({"regime": case.regime.name, "task": task_key(self._task(case, solver))})

    def _is_done(self, key: str) -> bool:
        record = self._log.get(key)
        if record is None or record["status"] == Status.ERROR or record["limit"] == Limit.INTERRUPTED:
            return False
        return record["solution"] is None or (self._folder / record["solution"]).is_file()

    def _record(self, case: Case, run: Run) -> dict[str, Any]:
        """The record of a run, its solution written and its accuracies measured."""
        accuracies: dict[str, float | None] = dict.fromkeys(("validation_accuracy", "test_accuracy", "weight_error"))
        place = None
        if isinstance(run.solution, NetworkMapping):
            place = f"solutions/{case.instance.name}-{run.solver}.matchopt"
            (self._folder / place).parent.mkdir(exist_ok=True)
            file = SolutionFile(run.solution, case.instance.digest, run.solver, run.seed)
            write(file, self._folder / place)
            network, data = realise(case.instance, run.solution), self._data
            layers = zip(case.instance.layers, run.solution.layers, strict=True)
            accuracies["weight_error"] = float(sum(layer.value(part) for layer, part in layers))
            accuracies["validation_accuracy"] = measure(
                network, data.validation_images, data.validation_labels
            ).accuracy
            accuracies["test_accuracy"] = measure(network, data.test_images, data.test_labels).accuracy
        where = {"regime": case.regime.name, "draw": case.draw, "solution": place}
        return run.to_json() | {"trace": len(run.trace)} | where | accuracies

    def mapping(self, record: Mapping[str, Any]) -> NetworkMapping | None:
        """The mapping of a record, None without one or where its file is gone."""
        try:
            found = read_solution(self._folder / record["solution"]) if record["solution"] else None
        except MatchoptError:
            return None
        return found if isinstance(found, NetworkMapping) else None
