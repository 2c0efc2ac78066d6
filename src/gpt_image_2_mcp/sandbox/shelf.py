"""A bounded store of bytes in memory: when it is full the oldest things go."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class StoredFile:
    """Bytes and what is known of them; times are Unix seconds."""

    id: str
    data: bytes
    filename: str = ""
    purpose: str = ""
    mimetype: str = ""
    created_at: int = 0
    expires_at: int | None = None


class Shelf:
    """Files by id, at most `max_files` of them and at most `max_bytes` together."""

    def __init__(self, max_files: int, max_bytes: int, clock: Callable[[], float]) -> None:
        self._files: OrderedDict[str, StoredFile] = OrderedDict()
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._clock = clock

    @property
    def max_bytes(self) -> int:
        return self._max_bytes

    def __len__(self) -> int:
        return len(self._files)

    def put(self, file: StoredFile) -> None:
        """Keep `file`, letting go of the oldest ones where room is needed."""
        self._files[file.id] = file
        while len(self._files) > 1 and self._over_full():
            self._files.popitem(last=False)

    def _over_full(self) -> bool:
        held = sum(len(file.data) for file in self._files.values())
        return len(self._files) > self._max_files or held > self._max_bytes

    def get(self, file_id: str) -> StoredFile | None:
        """The file, unless it is unknown, gone or expired."""
        file = self._files.get(file_id)
        if file is not None and file.expires_at is not None and file.expires_at <= self._clock():
            del self._files[file_id]
            return None
        return file

    def remove(self, file_id: str) -> bool:
        """Whether there was such a file."""
        if self.get(file_id) is None:
            return False
        del self._files[file_id]
        return True
