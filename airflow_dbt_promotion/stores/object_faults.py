"""What a service of object storage says when it does not do what was asked, sorted by what can be done about it."""

from __future__ import annotations

import re
from enum import Enum
from html import unescape

_MOST = 300
"""Characters that are told of an answer."""

_STATUS = re.compile(r"status code: (\d{3})(?: ([^:\n]+))?")
_CODE = re.compile(r"<Code>\s*([^<]*?)\s*</Code>")
_MESSAGE = re.compile(r"<Message>\s*([^<\n]*)")
_WAY = re.compile(r"^Generic \S+ error: |Error performing (?:list request: Error performing )?.*? - ")
"""Words of obstore around what happened: the kind of service, the method, the address, the time."""

_KIND = re.compile(r"\bkind: (Timeout|Connect|Interrupted|Decode)\b")
_CODELESS = re.compile(r"performing (?:HEAD|DELETE) |Bulk delete request failed")
"""Where 404 has no code to it; to anything else it may be what any server says that is no object storage."""

_NO_OBJECT = frozenset({"NoSuchKey", "BlobNotFound"})
_NO_BUCKET = frozenset({"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "ResourceNotFound"})
_DENIED = frozenset(
    {"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId", "AuthorizationHeaderMalformed"}
)
_NOT_DONE = "501"


class Kind(Enum):
    """What can be done about it; the value is said to people."""

    MISSING = "it is not there"
    NO_BUCKET = "create it, or correct `state` in promotion.yml"
    CONFLICT = "somebody else wrote it; try again"
    BUSY = "somebody else writes it at this moment; try again"
    DENIED = "check the credentials, and that they may read, write and list below this address"
    PASSING = "try again, when the service or the network is well"
    UNABLE = "use another service, or keep state in a database or in a folder"
    FORKED = "start it anew instead, as multiprocessing does with `spawn`"
    BROKEN = "check the address and its options"


class Fault(Exception):  # noqa: N818 - not an error yet: some are expected, the others become one of ours
    """An answer that is no success: `said` is what the service said, without any secret."""

    def __init__(self, kind: Kind, said: str) -> None:
        """Take both."""
        self.kind, self.said = kind, said
        super().__init__(said)

    def __str__(self) -> str:
        """Return what was said, and what to do."""
        return f"{self.said}; {self.kind.value}"

    @property
    def may_pass(self) -> bool:
        """Say whether the same request may go well a little later."""
        return self.kind in {Kind.CONFLICT, Kind.BUSY, Kind.PASSING}


def fault_of(error: Exception) -> Fault:
    """Return what an error of obstore means; known by name, so that this needs no obstore."""
    text = str(error).partition("\n\nDebug source")[0]
    status = found[1] if (found := _STATUS.search(text)) else ""
    code = found[1] if (found := _CODE.search(text)) else ""
    return Fault(_kind_of(type(error).__name__, status, code, text), _said(str(error), text))


def _kind_of(name: str, status: str, code: str, text: str) -> Kind:
    """Sort an answer: by its code, by how obstore calls it, by its status."""
    if code in _NO_BUCKET:
        return Kind.NO_BUCKET
    if code in _DENIED or status in {"401", "403"} or name == "UnauthenticatedError":
        return Kind.DENIED
    if name == "FileNotFoundError":
        return Kind.MISSING if code in _NO_OBJECT or _CODELESS.search(text) else Kind.BROKEN
    if name in {"AlreadyExistsError", "PreconditionError"}:
        # S3 says 409 to one of two that come at once; Azure, to whoever creates what is there.
        return Kind.BUSY if status == "409" and not code.endswith("AlreadyExists") else Kind.CONFLICT
    if status == _NOT_DONE or name == "NotSupportedError":
        return Kind.UNABLE
    passing = status in {"408", "429"} or status.startswith("5")
    return Kind.PASSING if passing or (not status and "HTTP error" in text) else Kind.BROKEN


def _said(whole: str, text: str) -> str:
    """Return an answer as one short line: status and code, or obstore's words without the address they were sent to."""
    if status := _STATUS.search(text):
        parts = (status[0].removeprefix("status code: "), *(one[1] for one in (_CODE.search(text),) if one))
        message = found[1].strip() if (found := _MESSAGE.search(text)) else ""
        line = f"the service says {' '.join(parts)}{f': {message}' if message else ''}"
    else:
        line = _WAY.sub("", text.partition("\n")[0])
        line += f" ({kind[1].lower()})" if (kind := _KIND.search(whole)) else ""
    return unescape(" ".join(line.split()))[:_MOST]
