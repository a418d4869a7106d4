"""The commands solve and check."""

import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matchopt.cli.group import INTERRUPTED
from matchopt.cli.settings import (
    FILE,
    STAGE_LIMIT,
    OutputFile,
    Real,
    check_apart,
    debug_option,
    go_with,
    plugin_option,
    settings,
    strict_option,
    table_option,
)

if TYPE_CHECKING:
    from matchopt.checker import Report
    from matchopt.proofs import Certificate
    from matchopt.run import Run


FOREIGN = (".pt", ".pth", ".onnx", ".nir", ".safetensors", ".npz", ".h5")  # endings of networks and of chips


@click.command(epilog="Example: matchopt solve assign100.txt --solver hungarian --time-limit 10 --output best.matchopt")
@click.argument("path", type=FILE)
@click.option(
    "--solver",
    default="auto",
    show_default=True,
    help="Name of the solver; `matchopt solvers` lists them. Several with + between them run one after the other. "
    "auto takes what suits the instance, and says why.",
)
@table_option("-o", "--option", "options", about="An option of the solver, or stage.option=value of one of several")
@click.option(
    "--time-limit",
    type=Real(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="S",
    help="Wall-clock seconds, shared by all stages.",
)
@table_option("--stage-limit", "stage_limits", kind=STAGE_LIMIT, about="Seconds of one stage in place of its share")
@click.option(
    "--memory-limit",
    type=Real(min=0, min_open=True),
    metavar="GB",
    help="Memory of the solver's process, in units of 10^9 bytes.  [default: 80 % of what is free]",
)
@click.option(
    "--iterations", type=click.IntRange(min=0), help="Most passes of the solver's main loop.  [default: none]"
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the solver.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Most threads of the solver.")
@click.option(
    "--surrogate",
    is_flag=True,
    help="Give a solver that refuses the instance a plainer form of it, as stages always get.",
)
@click.option(
    "--prove-seconds",
    type=Real(min=0),
    metavar="S",
    help="Most seconds for the proof, 0 for none.  [default: a fixed amount of work]",
)
@click.option("--cold", is_flag=True, help="Run the solver in a fresh interpreter, not in one forked from a server.")
@click.option("--start", type=FILE, help="File with a solution to begin from.")
@click.option(
    "--output", type=OutputFile(), help="Write the solution here; the ending .json or .csv gives a wiring table."
)
@click.option(
    "--proof", type=OutputFile(), help="Write what is proved here, for tools/check_proof.py to check (docs/proofs.md)."
)
@click.option("--format", "form", help="Format of PATH.  [default: recognised from content and ending]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@plugin_option
@strict_option
@debug_option
@click.pass_context
def solve(
    context: click.Context,
    /,
    path: Path,
    solver: str,
    start: Path | None,
    output: Path | None,
    proof: Path | None,
    form: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Solve the instance in PATH and check the solution.

    The solver runs in a process of its own, so that limits hold. Its solution is checked by code that shares nothing
    with solvers, and an optimum counts as proven only with a certificate.

    Solvers with + between them, such as hungarian+recalibrate, run one after the other, each from the best solution
    so far; a table shows what each of them made of it.

    Exit status: 0 with a solution or a proof that there is none, 1 without (a mere claim that there is none included),
    2 for bad input, 130 after Ctrl-C, which keeps the best solution found so far.
    """
    from matchopt.formats import read_solution
    from matchopt.formats.registry import check_ending
    from matchopt.run import solve as run
    from matchopt.terminal.progress import Progress

    check_apart(output, path)
    check_apart(proof, *filter(None, (path, start, output)))
    with _only_json(as_json):
        instance = _instance(path, form)
        if output is not None:
            check_ending(output, instance.kind)
        begin = None if start is None else read_solution(start, instance=instance, related=True)
        with Progress(f"solving with {solver}", given["time_limit"]) as bar:
            done = run(
                instance,
                solver,
                start=begin,
                plugin_files=settings().plugin_files,
                on_incumbent=lambda best: bar.update(best.seconds, f"best {best.objective:.6g}"),
                keep_on_interrupt=True,
                **given,
            )
        if output is not None and done.solution is not None:
            _write(done, instance, output)
        proved = _proved(instance, done, proof, given["prove_seconds"]) if proof is not None else ""
    if as_json:
        click.echo(json.dumps(done.to_json() | ({"proof_file": proved} if proof else {}), allow_nan=False))
    else:
        _show(done, output)
        click.echo(f"{'proof':<10}{proved}") if proof else None
    for one in (done, *done.stages) if settings().debug else ():
        click.echo(one.log, nl=False, err=True)
    if done.limit == "interrupted":
        context.exit(INTERRUPTED)
    context.exit(0 if done.solution is not None or (done.status == "infeasible" and done.proof == "proven") else 1)


def _instance(path: Path, form: str | None) -> Any:
    """The instance in a file; one that may be a network or a chip is told what makes an instance of it."""
    from matchopt.errors import FormatError, MatchoptError
    from matchopt.formats import read_instance

    try:
        return read_instance(path, form)
    except MatchoptError as cause:
        if form is not None or path.suffix.lower() not in FOREIGN:
            raise
        raise FormatError(f"{path} is no instance: `matchopt export` makes one of a trained network and a chip "
                          f"({str(cause).removeprefix(f'{path}: ')})") from None  # fmt: skip


def _write(done: "Run", instance: Any, output: Path) -> None:
    from matchopt.formats import SolutionFile, write

    assert done.solution is not None
    write(SolutionFile(done.solution, instance.digest, done.solver, done.seed), output, instance=instance)


def _proved(instance: Any, done: "Run", path: Path, seconds: float | None) -> str:
    """Write the proof of a result that has one, and say so, or why not."""
    infeasible = done.status == "infeasible" and done.proof == "proven"
    if done.solution is None and not infeasible:
        return "no proof file: there is nothing to prove"
    return proof_file(instance, done.solution, path, seconds)


def proof_file(instance: Any, solution: Any, path: Path, seconds: float | None = None) -> str:
    """Write a proof, and say which and where, or why there is none."""
    from matchopt.errors import Refused
    from matchopt.run import write_proof

    try:
        written = write_proof(instance, solution, path, seconds=seconds)
    except Refused as cause:
        return str(cause)
    return f"{path} ({written.head['claim']})"


def _show(done: "Run", output: Path | None) -> None:
    from matchopt.contract import printable
    from matchopt.terminal.figures import number, share

    proof = f", {done.proof}" if done.proof else ""
    limit = f" (stopped by the {done.limit} limit)" if done.limit else ""
    lines = {
        "instance": f"{done.instance} ({done.kind})",
        "solver": f"{done.solver} {done.version}",
        "status": f"{done.status}{proof}{limit}",
        "objective": number(done.objective, 10),
        "bound": number(done.bound, 10) + ("" if done.bound is None or done.bound_proved else ", claimed"),
        "gap": "-" if done.gap is None else f"{share(done.gap, 4)} %",
        "seconds": f"{done.seconds:.2f}",
        "message": done.message,
        "surrogate": done.surrogate,
        "written": "" if output is None or done.solution is None else str(output),
    }
    for name, text in lines.items():
        if text:
            click.echo(f"{name:<10}{printable(text)}")
    for violation in done.violations:
        click.echo(f"{'violation':<10}{printable(violation)}")
    if done.stages:
        _show_stages(done.stages)


def _show_stages(stages: "Sequence[Run]") -> None:
    from matchopt.terminal.figures import number
    from matchopt.terminal.table import print_table

    rows = []
    for place, run in enumerate(stages, start=1):
        limit = f" ({run.limit} limit)" if run.limit else ""
        stats = ", ".join(f"{n} {v if isinstance(v, str) else number(v)}" for n, v in run.stats.items())
        notes = [f"took the surrogate: {run.surrogate}" if run.surrogate else "", run.message, stats]
        figures = [number(run.objective, 7), number(run.bound, 7), f"{run.seconds:.2f}"]
        rows.append([str(place), run.solver, f"{run.status}{limit}", *figures, "; ".join(filter(None, notes))])
    print_table([">stage", "solver", "status", ">objective", ">bound", ">seconds", "notes"], rows)


@click.command(epilog="Example: matchopt check layer.matchopt best.matchopt --prove")
@click.argument("instance", type=FILE)
@click.argument("solution", type=FILE)
@click.option("--prove", is_flag=True, help="Also compute a lower bound, and say whether the solution is optimal.")
@click.option(
    "--seconds",
    type=Real(min=0, min_open=True),
    metavar="S",
    help="Most seconds for --prove.  [default: a fixed amount of work]",
)
@click.option("--proof", type=OutputFile(), help="Write what --prove proves here (docs/proofs.md).")
@click.option("--format", "form", help="Format of INSTANCE.  [default: recognised from content and ending]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@strict_option
@debug_option
@click.pass_context
def check(
    context: click.Context,
    instance: Path,
    solution: Path,
    prove: bool,
    seconds: float | None,
    proof: Path | None,
    form: str | None,
    as_json: bool,
) -> None:
    """Check SOLUTION by the definition of INSTANCE, naming every broken rule.

    Exit status: 0 for a feasible solution, 1 for an infeasible one, 2 for a file that cannot be read.
    """
    from matchopt.checker import check as examine
    from matchopt.errors import Refused
    from matchopt.formats import read_instance, read_solution
    from matchopt.proofs import certify

    go_with(prove, "is for --prove; give that too", "seconds", "proof")
    check_apart(proof, instance, solution)
    given = read_instance(instance, form)
    decision = read_solution(solution, instance=given)
    report = examine(given, decision)
    certificate, refusal = None, ""
    if prove and report.feasible:
        try:
            certificate = certify(given, decision, seconds=seconds)
        except Refused as cause:
            refusal = str(cause)
    written = proof_file(given, decision, proof, seconds) if proof and certificate is not None else ""
    if as_json:
        found = _verdict(report, certificate, refusal) | ({"proof_file": written} if written else {})
        click.echo(json.dumps(found, allow_nan=False))
    else:
        _tell(report, certificate, refusal)
        click.echo(f"proof: {written}") if written else None
    context.exit(0 if report.feasible else 1)


def _verdict(report: "Report", certificate: "Certificate | None", refusal: str) -> dict[str, Any]:
    violations = [{"rule": v.rule, "row": v.row, "layer": v.layer, "message": v.message} for v in report.violations]
    found: dict[str, Any] = {"feasible": report.feasible, "objective": report.objective, "violations": violations}
    if certificate is not None:
        bound = certificate.bound if abs(certificate.bound) != float("inf") else None
        found |= {"bound": bound, "optimal": certificate.optimal, "allowance": certificate.allowance}
        found |= {"improvable": certificate.improvable, "method": certificate.method}
    return found | ({"no_proof": refusal} if refusal else {})


def _tell(report: "Report", certificate: "Certificate | None", refusal: str) -> None:
    if not report.feasible:
        click.echo(f"infeasible: {len(report.violations)} violation(s)")
        for violation in report.violations:
            click.echo(f"  {violation.rule}: {violation.message}")
        return
    click.echo(f"feasible, objective {report.objective!r}")
    if certificate is not None:
        verdict = (
            "optimal, proven" if certificate.optimal else "not optimal" if certificate.improvable else "not proved"
        )
        click.echo(f"bound {certificate.bound!r} ({certificate.method}): {verdict}")
    elif refusal:
        click.echo(f"no proof: {refusal}")


@contextlib.contextmanager
def _only_json(wanted: bool) -> Any:
    """Send what plugins print in this process to standard error, so that standard output holds the object alone."""
    if not wanted:
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield
