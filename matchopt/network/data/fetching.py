"""Fetching a data set over the network: downloads with checksums, then the data set's own check."""

import logging
from pathlib import Path
from typing import Any

from matchopt.errors import DataError, MissingExtra
from matchopt.network.data.published import DataSet, Download

SECONDS = 30.0  # without an answer, or between two parts of one, before giving up


def fetch(about: DataSet, bar: Any = None) -> Path:
    """Download the files of a data set into the cache folder, and check that the data set is complete.

    Files that are there already and have the right checksum are kept.

    Parameters
    ----------
    about : the data set.
    bar : shows the progress of each download, None for silence; an object with `total`, which is set when the length
        is known, and `update(count)`, `reset()` and `close()`.

    Returns
    -------
    Path
        the folder they are in.

    Raises
    ------
    DataError
        when the data set cannot be fetched, the network cannot be reached, or what came is not the published data.
    MissingExtra
        when pooch is not installed.
    """
    if not about.downloads:
        raise DataError(f"{about.name} cannot be fetched; {about.advice(about.fetched)}")
    try:
        import pooch
    except ModuleNotFoundError:
        raise MissingExtra("fetching data", "pooch", "data") from None
    pooch.get_logger().setLevel(logging.WARNING)
    for download in about.downloads:
        _retrieve(about.name, download, about.fetched, bar)
    try:
        about.load(about.fetched)
    except DataError:
        for download in about.downloads:
            if download.sha256 is None:  # what was not checked on arrival is not kept
                (about.fetched / download.file).unlink(missing_ok=True)
        raise
    return about.fetched


def _retrieve(name: str, download: Download, folder: Path, bar: Any) -> None:
    import pooch

    known = None if download.sha256 is None else f"sha256:{download.sha256}"
    loader = pooch.HTTPDownloader(progressbar=bar or False, timeout=SECONDS)
    try:
        pooch.retrieve(download.url, known, fname=download.file, path=folder, downloader=loader)
    except ValueError:
        raise DataError(
            f"{name}: what came from {download.url} is not the published file (its SHA-256 differs); try again later"
        ) from None
    except OSError as cause:
        reason = cause.strerror or type(cause).__name__
        raise DataError(
            f"{name}: {download.url} cannot be fetched ({reason}); on a machine with a network, fetch it there and "
            f"put it into {folder}"
        ) from None
