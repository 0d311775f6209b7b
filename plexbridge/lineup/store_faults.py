"""What can be wrong with `lineup.db`, told as one kind of fault."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plexbridge.lineup.errors import StoreUnusable
from plexbridge.log.errors import CannotOpen, StorageFailed


@contextmanager
def faults_named(path: Path, remedy: str) -> Iterator[None]:
    """Whatever is wrong with the file at `path` is `StoreUnusable`, with what to do about it."""
    place = str(path)
    try:
        yield
    except CannotOpen as error:
        raise StoreUnusable(place, error.why, remedy) from error
    except StorageFailed as error:
        raise StoreUnusable(place, str(error), remedy) from error
    except OSError as error:
        raise StoreUnusable(place, error.strerror or "no access", remedy) from error
