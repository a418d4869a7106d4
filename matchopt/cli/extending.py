"""The commands solvers, trainers, plugins, new-plugin and check-solver."""

import json
import textwrap
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matchopt.cli.settings import OutputFolder, Real, debug_option, plugin_option, settings, table_option

if TYPE_CHECKING:
    from matchopt.plugins import Registry, SolverEntry, TrainerEntry
    from matchopt.solver import Solver

MOST_NAMES = 10  # at the head of a table of demands; where there are more, they are numbered


@click.command(epilog="Example: matchopt solvers hungarian")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@plugin_option
@debug_option
def solvers(name: str | None, as_json: bool) -> None:
    """List the solvers: what they solve, their options, and whether the packages they need are there.

    Then which of an instance's demands each takes, and what is taken on the way down to a simpler kind: a demand is
    whatever an instance asks for beyond the plainest of its kind. With NAME, that solver alone, with what it says about
    itself and what its demands mean.
    """
    from matchopt.plugins import load_plugins

    registry = load_plugins(settings().plugin_files)
    chosen = [registry.entry(name)] if name else [registry.solvers[each] for each in sorted(registry.solvers)]
    listed = [
        _about(entry, {"solves": (cls := entry.cls).solves.kind, "role": cls.role, "understands": _taken(cls)})
        for entry in chosen
    ]
    _list("solver", listed, ("solves", "role"), as_json)
    if name is None:  # else it has been said already
        _say_failed(registry, as_json)
    if not as_json:
        _print_demands(listed, in_words=name is not None)


def _taken(cls: "type[Solver]") -> list[str]:
    """The demands that a solver takes, in the order of the vocabulary."""
    from matchopt.contract import understood_by
    from matchopt.instances.demands import DEMANDS

    return [name for name in DEMANDS if name in understood_by(cls)]


def _print_demands(listed: list[dict[str, Any]], in_words: bool) -> None:
    """One table for each kind: its demands, the solvers of that kind, and the reductions to the kinds below."""
    from matchopt.instances.demands import demands_of_kind
    from matchopt.reduce import WAYS_DOWN
    from matchopt.terminal.table import print_table

    for kind in dict.fromkeys(solver["solves"] for solver in listed):
        takes = {solver["name"]: frozenset(solver["understands"]) for solver in listed if solver["solves"] == kind}
        if not in_words:
            takes |= {f"as {to}": understood for (above, to), understood in WAYS_DOWN.items() if above == kind}
        names = demands_of_kind(kind)
        numbered = len(takes) > MOST_NAMES
        heads, yes = ([str(n + 1) for n in range(len(takes))], "x") if numbered else (list(takes), "yes")
        rows = [[name, *(yes if name in taken else "-" for taken in takes.values())] for name in names]
        if in_words:
            rows = [[*row, names[row[0]]] for row in rows]
        print_table([f"{kind} demand", *heads, *(["meaning"] if in_words else [])], rows)
        if numbered:
            legend = ", ".join(f"{n}: {name}" for n, name in zip(heads, takes, strict=True))
            click.echo(textwrap.fill(legend, 100, initial_indent=" ", subsequent_indent=" ", break_on_hyphens=False))


@click.command(epilog="Example: matchopt trainers deep-rewiring")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@plugin_option
@debug_option
def trainers(name: str | None, as_json: bool) -> None:
    """List the training methods: what they promise about connectivity, and their options.

    The promise: exact (as asked for, in every step), at most (never more, in any step), or reported (an outcome, or
    more while training runs). With NAME, that method alone, with what it says about itself.
    """
    from matchopt.plugins import load_plugins

    registry = load_plugins(settings().plugin_files)
    chosen = [registry.trainer(name)] if name else [registry.trainers[each] for each in sorted(registry.trainers)]
    listed = [_about(entry, {"promise": entry.cls.promise}) for entry in chosen]
    _list("trainer", listed, ("promise",), as_json)
    if name is None:
        _say_failed(registry, as_json)


def _about(entry: "SolverEntry | TrainerEntry", more: dict[str, Any]) -> dict[str, Any]:
    """What is listed of a solver or trainer."""
    from matchopt.settings import options_of

    cls = entry.cls
    missing = [module for module in cls.needs if find_spec(module.partition(".")[0]) is None]
    options = [asdict(option) for option in options_of(cls)]
    state = "yes" if not missing else f"no: pip install 'matchopt[{cls.extra}]'" if cls.extra else f"no: {missing[0]}"
    purpose = (cls.__doc__ or "").strip().splitlines()
    about = {"name": cls.name, **more, "available": not missing, "state": state, "plugin": entry.plugin}
    return {**about, "doc": purpose[0] if purpose else "", "options": options}


def _list(what: str, listed: list[dict[str, Any]], more: tuple[str, ...], as_json: bool) -> None:
    from matchopt.terminal.table import print_table

    if as_json:
        click.echo(json.dumps({f"{what}s": listed}))
        return
    keys = ("name", *more, "state", "plugin", "doc")
    print_table([what, *more, "available", "plugin", "what it does"], [[str(s[key]) for key in keys] for s in listed])
    rows = []
    for name, option in ((s["name"], option) for s in listed for option in s["options"]):
        default = option["default"]
        typed = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        rows.append([name, option["name"], option["type"], option["range"], typed, option["doc"]])
    if rows:
        print_table([what, "option", "type", "range", "default", "meaning"], rows)


def _say_failed(registry: "Registry", as_json: bool) -> None:
    for failed in () if as_json else registry.failed:
        click.echo(f"Warning: {failed}", err=True)


@click.command(epilog="Example: matchopt plugins --plugin my_solver.py")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@plugin_option
@debug_option
def plugins(as_json: bool) -> None:
    """List the plugins with version, hooks, solvers and trainers, and those that failed to load with the cause.

    The environment variable MATCHOPT_PLUGINS chooses among the installed ones: names with commas between them.
    """
    from matchopt.plugins import load_plugins
    from matchopt.terminal.table import print_table

    registry = load_plugins(settings().plugin_files)
    if as_json:
        loaded = [{name: value for name, value in asdict(p).items() if name != "file"} for p in registry.plugins]
        keys = ("distribution", "version", "cause")
        failed = [{"name": f.plugin, **{key: getattr(f, key) for key in keys}} for f in registry.failed]
        click.echo(json.dumps({"plugins": loaded, "failed": failed}))
        return
    rows = [
        [p.name, p.distribution or str(p.file), p.version, ", ".join(p.hooks), ", ".join(p.solvers + p.trainers)]
        for p in registry.plugins
    ]
    print_table(["plugin", "distribution", "version", "hooks", "solvers and trainers"], rows)
    if registry.failed:
        print_table(
            ["failed plugin", "distribution", "version", "cause"],
            [[f.plugin, f.distribution or str(f.file or "-"), f.version, f.cause] for f in registry.failed],
        )


@click.command("new-plugin", epilog="Example: matchopt new-plugin my-annealer --folder ~/solvers")
@click.argument("name")
@click.option(
    "--folder", type=OutputFolder(), default=Path("."), show_default=True, help="Where the new folder NAME is made."
)
@debug_option
def new_plugin(name: str, folder: Path) -> None:
    """Start a plugin: a folder NAME with one solver, its test and its packaging, which works at once.

    NAME is lower-case words with dashes between them; the solver gets it too.
    """
    from matchopt.template import make_plugin

    made = make_plugin(name, folder)
    click.echo(
        f"Made {made}. Next:\n  pip install -e {made}\n  matchopt solvers {name}\n  matchopt check-solver {name}"
    )


@click.command("check-solver", epilog="Example: matchopt check-solver my-annealer --plugin my_annealer.py")
@click.argument("name")
@table_option("-o", "--option", "options", about="An option of the solver")
@click.option(
    "--time-limit",
    type=Real(min=0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="S",
    help="Wall-clock seconds for all checks.",
)
@click.option(
    "--solve-limit",
    type=Real(min=0, min_open=True),
    default=20.0,
    show_default=True,
    metavar="S",
    help="Time limit of each solve, which a solver that improves as long as it may takes whole.",
)
@plugin_option
@debug_option
@click.pass_context
def check_solver(
    context: click.Context, name: str, options: dict[str, str], time_limit: float, solve_limit: float
) -> None:
    """Run the conformance kit on the solver NAME: every law of the contract on tiny instances of every kind.

    Prints how many checks ran, were refused by the solver with a reason, and failed. The kit runs in a process of its
    own, in 80 % of the free memory; all it starts ends with it. Exit status: 0 when no check failed, 1 when one did, 2
    for bad input.
    """
    from matchopt.plugins import load_plugins

    files = settings().plugin_files
    load_plugins(files).make(name, options)  # names a mistake before a process is started
    request = {"main": "matchopt.cli.kit_process", "solver": name, "options": options, "seconds": solve_limit}
    request["files"] = [str(file.absolute()) for file in files]
    context.exit(_run_kit(request, time_limit))


def _run_kit(request: dict[str, Any], time_limit: float) -> int:
    """Run the kit in a worker, with which all that its solver starts ends; returns the exit status."""
    from matchopt.contract import escaped, printable
    from matchopt.parts import Parts
    from matchopt.run.answers import read_ending
    from matchopt.run.process import WorkerProcess
    from matchopt.run.watchdog import MEMORY_SHARE, free_memory
    from matchopt.solver import Limit
    from matchopt.terminal.progress import Progress

    done, running, told, memory = 0, "", "", int(free_memory() * MEMORY_SHARE)
    with Progress(f"checking {request['solver']}") as bar, WorkerProcess(1, memory, most=0) as worker:
        worker.send(Parts(request))
        worker.watchdog.arm(time_limit)
        for message in (message for batch in worker.batches() for message in batch):
            facts = {name: value if type(value) is int else str(value) for name, value in message.facts.items()}
            match facts.get("type"):
                case "asked":
                    running = printable(facts.get("check"), 200)
                case "finished":
                    done += 1
                    bar.update(done, printable(facts.get("law"), 80), min(10**6, int(facts.get("total", 0))))
                case "report":
                    click.echo("\n".join(escaped(line) for line in str(facts.get("summary")).splitlines()))
                    return 0 if message.facts.get("passed") is True else 1
                case _:
                    told = printable(facts.get("cause"))
                    break
    late = f"stopped after {time_limit:g} s" if worker.watchdog.killed_for is Limit.TIME else ""
    reason = told or late or read_ending(worker, time_limit, memory).message
    place = f"while {running} was asked" if running else "while it was loaded"
    click.echo(f"{request['solver']}: failed after {done} checks, {place}: {reason}")
    return 1
