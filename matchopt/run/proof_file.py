"""Writing proofs that others can check."""

from pathlib import Path

from matchopt.formats.atomic import write_bytes
from matchopt.instances import Instance, Solution
from matchopt.proofs.proof_file import ProofFile, proof_of, proof_of_infeasible


def write_proof(
    instance: Instance, solution: Solution | None, path: Path | str, *, seconds: float | None = None
) -> ProofFile:
    """Write what is proved about a solution, or that there is none, in the form of docs/proofs.md.

    `tools/check_proof.py` checks the file against the instance's, with exact arithmetic and nothing of matchopt.

    Parameters
    ----------
    instance : in memory; the checker reads it from a .matchopt file.
    solution : feasible, as `matchopt.check` says; None to prove that there is none.
    path : of the proof; written whole or not at all.
    seconds : see `matchopt.certify`.

    Returns
    -------
    ProofFile
        what was written: `head["claim"]` is "optimal", "bound" where only that is proved, or "infeasible".

    Raises
    ------
    Refused
        when there is no proof, or none that such a file can hold yet.
    OSError
        when the folder is missing, not writable or full.
    """
    proof = proof_of_infeasible(instance) if solution is None else proof_of(instance, solution, seconds=seconds)
    write_bytes(Path(path), proof.to_bytes())
    return proof
