"""Unpacking of gzip, LZ4 and Zstandard, no further than a file of its size can justify."""

from __future__ import annotations

import gzip
import io
from typing import Protocol

__all__ = ["Allowance", "DamagedContentError", "gunzip", "unlz4", "unzstd"]

#: Bytes that any file may unpack to, and how many for each of its own bytes beyond: recordings unpack to 2 to 5 times
#: their size, an image of one colour to 1000 times.
FLOOR, RATIO = 2**26, 100
#: Bytes that are unpacked at once.
PIECE = 2**20
#: Bytes that a Zstandard frame may look back; the format's own recommendation is 2^23.
WINDOW = 2**25


class DamagedContentError(ValueError):
    """Content that cannot be what it should be; the reader of the file makes an error of it that names the file.

    Parameters
    ----------
    got : str
        What was found.
    offset : int
        Byte.
    cause : Exception, optional
    """

    def __init__(self, got: str, offset: int, cause: Exception | None = None) -> None:
        said = "" if cause is None else f" ({type(cause).__name__}{f': {cause}' if str(cause) else ''})"
        super().__init__(f"{got} at byte {offset}{said[:200]}")
        self.offset = offset


class Readable(Protocol):
    """What can be read in pieces."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


class Allowance:
    """How many bytes a file may still unpack to.

    Parameters
    ----------
    size : int
        Of the file.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = FLOOR + RATIO * size

    def read(self, stream: Readable) -> bytes:
        """All of a stream that unpacks.

        Raises
        ------
        DamagedContentError
            If it goes on where nothing is left.
        """
        pieces = []
        while piece := stream.read(PIECE):
            self._left -= len(piece)
            if self._left < 0:
                most = FLOOR + RATIO * self._size
                raise DamagedContentError(f"more than {most} bytes out of the {self._size} that begin", 0)
            pieces.append(piece)
        return b"".join(pieces)


def gunzip(content: bytes) -> bytes:
    """Unpack a gzip file.

    Raises
    ------
    DamagedContentError
        Of any error of the format, with the byte in the packed content.
    """
    stream = io.BytesIO(content)
    try:
        with gzip.GzipFile(fileobj=stream) as opened:
            return Allowance(len(content)).read(opened)
    except DamagedContentError:
        raise
    except Exception as error:
        raise DamagedContentError("no whole gzip file", stream.tell(), error) from error


class _Lz4:
    def __init__(self, content: bytes) -> None:
        import lz4.frame

        self._frame, self._content = lz4.frame.LZ4FrameDecompressor(), content

    def read(self, size: int) -> bytes:
        if self._frame.eof:
            return b""
        piece, self._content = self._frame.decompress(self._content, max_length=size), b""
        if not piece and not self._frame.eof:
            raise EOFError("the frame is not whole")
        return piece


def unlz4(content: bytes, allowance: Allowance) -> bytes:
    """Unpack a frame of LZ4.

    Raises
    ------
    DamagedContentError
    ImportError
        If lz4 is not installed.
    """
    return _unpacked(_Lz4(content), allowance)


def unzstd(content: bytes, allowance: Allowance) -> bytes:
    """Unpack a frame of Zstandard.

    Raises
    ------
    DamagedContentError
    ImportError
        If zstandard is not installed.
    """
    import zstandard

    unpacked = _unpacked(zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(content), allowance)
    try:
        said = zstandard.frame_content_size(content)  # -1: the frame does not say
    except zstandard.ZstdError as error:
        raise DamagedContentError("a frame that cannot be unpacked", 0, error) from error
    if said not in (-1, len(unpacked)):
        raise DamagedContentError(f"{len(unpacked)} of {said} bytes", 0)
    return unpacked


def _unpacked(stream: Readable, allowance: Allowance) -> bytes:
    try:
        return allowance.read(stream)
    except DamagedContentError:
        raise
    except Exception as error:  # each library has errors of its own
        raise DamagedContentError("a frame that cannot be unpacked", 0, error) from error
