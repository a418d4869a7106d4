"""The trained network of the demo, kept from one run to the next."""

from pathlib import Path

from matchopt.demo.plan import Plan
from matchopt.errors import MatchoptError
from matchopt.network import EpochRecord, ImageData, SparseNetwork, read_network, write_network
from matchopt.parts import canonical_json
from matchopt.terminal.progress import Progress


def target_network(plan: Plan, data: ImageData, path: Path) -> tuple[SparseNetwork, bool]:
    """The network at `path` if it was trained by the same method, data and seed, else a new one, written there.

    Returns
    -------
    network and whether it was there already.
    """
    wanted = plan.trainer.record(plan.seed)
    found = _read(path)
    if found is not None and found.widths == plan.widths and found.record.data == data.reference:
        record = found.record
        known = canonical_json([record.method, dict(record.config), record.seed])
        if known == canonical_json([wanted.method, dict(wanted.config), wanted.seed]):
            return found, True
    with Progress("training the target network") as bar:

        def show(epoch: EpochRecord) -> None:
            accuracy = epoch.validation_accuracy
            note = f"{epoch.phase}, {100 * epoch.connectivity:.1f} % connected"
            note += "" if accuracy is None else f", validation {100 * accuracy:.2f} %"
            bar.update(epoch.epoch, note, epoch.epochs)

        network = plan.trainer.train(data, plan.widths, plan.seed, show).network
    write_network(path, network)
    return network, False


def _read(path: Path) -> SparseNetwork | None:
    try:
        return read_network(path) if path.exists() else None
    except MatchoptError:  # damaged or of an older version: train again
        return None
