"""Sources that fsspec opens: its file systems raise what they like, and it leaves here as a SourceError of one line.

Imported only where such a source is read. fsspec keeps the file systems and closes their sessions. A server that gives
nothing for a while is an error: the load holds locks meanwhile.
"""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, BinaryIO, cast

from async_loader.errors import SourceError, one_line
from async_loader.sources.addresses import without_secrets
from async_loader.sources.opening import CHANGED, Facts, Opened

# Bytes that are fetched beyond those asked for: few requests, and little in vain where a part of a source ends.
AHEAD = 4 << 20
# Seconds in which an HTTP server must take a connection, and give the next bytes. fsspec itself would wait for minutes,
# and give up a download that takes longer as a whole.
TIMEOUT = 30.0
# Characters of what a library says that are shown.
SHOWN = 300
# File systems' names of what changes with the content of an object: its version, a digest, a time of change.
_VERSIONS = (
    *("ETag", "etag", "md5Hash", "sha", "generation", "VersionId"),
    *(
        "LastModified",
        "Last-Modified",
        "last_modified",
        "updated",
        "mtime",
        "modificationTime",
        "modify",
        "modified",
        "created",
    ),
)
_INSTALL = "pip install 'django-async-loader[remote]'"


def facts_of(name: str) -> Facts:
    """Return size and version, as the file system gives them."""
    with _failures(name):
        return _look(name, *_place(name))


def opened(name: str) -> Opened:
    """Open the object, at its first byte. SourceError where it is no object."""
    with _failures(name):
        system, path = _place(name)
        facts = _look(name, system, path)
        file = _RemoteFile(name, facts, system, path)
    return Opened(cast("BinaryIO", file), facts, file.look, file.close)


class _RemoteFile:
    """A file of fsspec whose every failure is a SourceError."""

    def __init__(self, name: str, facts: Facts, system: Any, path: str) -> None:
        self._name, self._facts, self._system, self._path = name, facts, system, path
        ahead = 0 if facts.size is None else AHEAD
        self._file = system.open(path, "rb", block_size=ahead, cache_type="readahead")

    @property
    def closed(self) -> bool:
        return bool(self._file.closed)

    def read(self, size: int = -1) -> bytes:
        with self._reading():
            return bytes(self._file.read(size))

    def seek(self, offset: int, whence: int = 0) -> int:
        with self._reading():
            return int(self._file.seek(offset, whence))

    def _position(self) -> int:
        return int(self._file.tell())

    # As files have it.
    tell = _position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def close(self) -> None:
        self._file.close()

    def look(self) -> Facts:
        """Return its facts as they are now."""
        with _failures(self._name):
            return _look(self._name, self._system, self._path)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Report another object in its place, where reading fails because there is one now."""
        try:
            with _failures(self._name):
                yield
        except SourceError as error:
            if self.look() != self._facts:
                raise SourceError(self._name, CHANGED) from error
            raise


def _place(name: str) -> tuple[Any, str]:
    """Return the file system, and its name of the object."""
    system, path = _fsspec(name).core.url_to_fs(name, **_options(name))
    return system, path


def _options(name: str) -> dict[str, Any]:
    """Return options of the file systems in a chain of addresses, by protocol."""
    protocols = [link.partition("://")[0].lower() for link in name.split("::") if "://" in link]
    served = [protocol for protocol in protocols if protocol in ("http", "https")]
    if not served:
        return {}
    import aiohttp

    limits = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT, sock_read=TIMEOUT)
    return {protocol: {"client_kwargs": {"timeout": limits}} for protocol in served}


def _fsspec(name: str) -> ModuleType:
    try:
        import fsspec
    except ImportError as error:
        raise SourceError(name, f"fsspec is not installed, which opens such addresses: {_INSTALL}") from error
    return cast("ModuleType", fsspec)


def _look(name: str, system: Any, path: str) -> Facts:
    system.invalidate_cache(path)
    info: Mapping[str, Any] = system.info(path)
    if info.get("type") == "directory":
        raise SourceError(name, "cannot be read: it is a directory; name one object")
    size = info.get("size")
    # A web server that gives no ranges is read once, from the front; so is what is no file.
    if info.get("type") == "other" or ("url" in info and not info.get("partial")):
        size = None
    versions = [f"{key}={info[key]}" for key in _VERSIONS if info.get(key) is not None]
    return Facts(None if size is None else int(size), ", ".join(versions))


@contextlib.contextmanager
def _failures(name: str) -> Iterator[None]:
    """Translate whatever a file system raises."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        raise SourceError(name, _problem(error)) from error


def _problem(error: Exception) -> str:
    """Return what is wrong, and what to do. Of text that is not ours, nothing that may be secret."""
    said = textwrap.shorten(without_secrets(one_line(error)), SHOWN, placeholder=" ...")
    match error:
        case ImportError():
            return f"a library is not installed that opens such addresses: {said}"
        case ValueError() if said.startswith("Protocol not known"):
            return f"{said.lower()}; look at the address"
        case FileNotFoundError():
            return "cannot be read: there is no such object, bucket or server; look at the address"
        case PermissionError():
            return f"cannot be read: access denied ({said.lower()}); look at the credentials in the environment"
        case TimeoutError():
            return "cannot be read: no answer in time; look at the network, and load it again"
    if "Credential" in type(error).__name__:
        return f"cannot be read: {said.lower()}; the environment or the storage's own configuration must have them"
    return f"cannot be read: {said}; look at the address, the network and the credentials in the environment"
