"""Addresses of sources on shared or object storage, as text. Pure.

A name that begins with a scheme (`s3://bucket/users.csv`) is an address; `::` joins the links of a chain, as fsspec has
it. An address is shown in every report, so one that holds a secret is no name for a source.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

_SCHEME = r"[a-z][a-z0-9+.-]+"
_ADDRESS = re.compile(rf"(?:{_SCHEME}::)*{_SCHEME}://", re.IGNORECASE)
_FILE = "file://"
# A password before the host; over HTTP and FTP anything there: services take a token for a user without a password.
_PASSWORD = re.compile(r"://[^/?#@]*:[^/?#]*@")
_TOKEN = re.compile(r"(?:^|::)(?:https?|ftps?|web(?:dav|hdfs)s?)://[^/?#@]+@", re.IGNORECASE)
# Parameters that sign a request or stand for a user: with them anyone may read. Some say so in any part of their names,
# some are whole words.
_PARAMETER = re.compile(r"[?&;#]([^=&;#]*)=")
_SECRET = re.compile(
    r"signature|credential|token|secret|passw|key"
    r"|(?:^|[^a-z0-9])(?:sig|sign|code|access|auth|authorization|bearer|jwt|hmac|pwd|pass|session|sid|ticket|otp)"
    r"(?![a-z0-9])",
    re.IGNORECASE,
)
# An archive, and what stands after it.
_ARCHIVE = re.compile(r"(.+?\.zip)(?:#(.*))?", re.IGNORECASE | re.DOTALL)
_QUERY = re.compile(r"[?#][^\s\"']*")
_USER = re.compile(r"://[^/?#@\s]*@")


# Half of a character, which stands in text for a byte that is not UTF-8, or for nothing that can be written.
_SURROGATE = re.compile("[\ud800-\udfff]")


def shown(text: str) -> str:
    r"""Return text as it can be written anywhere: a byte that is not UTF-8 is an escape, such as `\xff`.

    A name of a file is bytes. Python has those that are no text as surrogates, which neither databases nor JSON take.
    """
    return _SURROGATE.sub(lambda half: _escape(ord(half[0])), text)


def _escape(code: int) -> str:
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"  # noqa: PLR2004 - a byte's


def is_remote(name: str) -> bool:
    """Return whether fsspec is needed to open it."""
    return _ADDRESS.match(name) is not None and not _is_local(name)


def local_path(name: str) -> str:
    """Return the path of a source that is not remote."""
    return name.removeprefix(_FILE)


def last_name(name: str) -> str:
    """Return the part of a name whose suffixes say the format: in a chain of addresses, the first that has a path."""
    if not is_remote(name):
        return name
    return next((link for link in name.split("::") if not link.endswith("://") and "://" in link), name)


def in_archive(name: str) -> tuple[str, str] | None:
    """Return the ZIP archive in a name, and what stands after `#`, maybe nothing; None where no archive is in it."""
    if is_remote(name) and "::" in name:
        # fsspec takes the member out: zip://orders.csv::s3://bucket/export.zip
        return None
    found = _ARCHIVE.fullmatch(name)
    return None if found is None else (found[1], found[2] or "")


def has_secret(name: str) -> bool:
    """Return whether an address holds what only its user may see."""
    if not is_remote(name):
        return False
    parameters = map(unquote, _PARAMETER.findall(name))
    return bool(_PASSWORD.search(name) or _TOKEN.search(name) or any(map(_SECRET.search, parameters)))


def without_secrets(text: str) -> str:
    """Return text that may hold addresses, less the parts of them in which secrets can stand."""
    return _QUERY.sub("?...", _USER.sub("://...@", text))


def _is_local(name: str) -> bool:
    return name.startswith(_FILE) and "::" not in name
