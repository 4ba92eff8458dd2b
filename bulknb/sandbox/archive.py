"""A batch with binary attachments: a zip of ``request.txt`` and the files that its cells name.

Source: "Load Binary Attachments" and "Bulk API Limits" (Bulk API guide). Nothing is unpacked to
disk.
"""

import base64
import io
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from bulknb.sandbox.content import ContentError
from bulknb.sandbox.values import NULL

MAX_UNZIPPED_BYTES = 20 * 1024 * 1024
MAX_FILES = 1000
MAX_NAME_BYTES = 512

REQUEST = "request.txt"
# What zipfile is seen to raise for a file that is damaged, encrypted or of an unknown kind.
_DAMAGED = (
    ArithmeticError,
    BadZipFile,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class Archive:
    """What a batch's zip holds.

    Attributes
    ----------
    request : str
        The rows, as CSV, JSON or XML.
    files : mapping
        The content of the other files in base64, by what a cell says: ``#photos/one.jpg``.
    """

    request: str
    files: Mapping[str, str]

    def attach(self, rows: Iterable[list[str]], columns: Sequence[int]) -> list[list[str]]:
        """Return the rows with files in the cells of these columns, which name them.

        What names no file becomes a text that no binary field takes, so that its row fails.
        """
        return [
            [self._file(cell) if column in columns else cell for column, cell in enumerate(row)]
            for row in rows
        ]

    def _file(self, cell: str) -> str:
        return cell if cell in ("", NULL) else self.files.get(cell, f"no such file: {cell}")


def read(data: bytes) -> Archive:
    """Return what a zip holds.

    Raises
    ------
    ContentError
        If it is damaged, larger than allowed, or lacks its request: InvalidBatch ("Errors" in the
        guide). The texts are ours.
    """
    try:
        with ZipFile(io.BytesIO(data)) as packed:
            found = {info.filename: info for info in packed.infolist() if not info.is_dir()}
            request = found.pop(REQUEST, None)
            if request is None:
                raise ContentError(f"The zip file has no {REQUEST} at its root")
            _check([request, *found.values()])
            # No file is longer than its entry says and was checked: zipfile reads no further.
            files = {
                f"#{name}": base64.b64encode(packed.read(entry)).decode()
                for name, entry in found.items()
            }
            return Archive(packed.read(request).decode("utf-8-sig"), files)
    except ContentError:
        raise
    except _DAMAGED:
        raise ContentError("The zip file cannot be read") from None


def _check(entries: Sequence[ZipInfo]) -> None:
    if len(entries) - 1 > MAX_FILES:
        raise ContentError(f"The zip file has more than {MAX_FILES} files")
    if sum(entry.file_size for entry in entries) > MAX_UNZIPPED_BYTES:
        raise ContentError(f"The zip file unpacks to more than {MAX_UNZIPPED_BYTES} bytes")
    for entry in entries:
        if len(entry.filename.encode()) > MAX_NAME_BYTES:
            raise ContentError(f"A file's name is longer than {MAX_NAME_BYTES} bytes")
        if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise ContentError("The zip file uses a compression other than deflate")
