# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder whose files a playbook keeps as the inventory says: what is to be written and removed there, and doing it.

PRIVATE to the collection. The folder is the playbook's own, but a repository of others around it and files of others in
it are usual. So it is marked, files are known by their first line, and nothing is written through a symbolic link.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._messages import Message, listed, shown_path

__all__ = ["Changes", "KeptFolder"]


@dataclass(frozen=True)
class Changes:
    """:param files: paths of all that are to be there.
    :param before: the text of each file that changes or goes, by its path.
    :param after: of each that changes or is new.
    """

    files: list[str]
    before: Mapping[str, str]
    after: Mapping[str, str]

    @property
    def removed(self) -> list[str]:
        return sorted(self.before.keys() - self.after.keys())

    @property
    def lines(self) -> list[str]:
        """One a file, for people."""
        found = [*(f"write {path}" for path in sorted(self.after)), *(f"remove {path}" for path in self.removed)]
        return found or [f"nothing to write: {len(self.files)} files are as the inventory says"]

    def result(self) -> dict[str, Any]:
        """As Ansible takes and shows it."""
        return {"changed": bool(self.before or self.after), "diff": self._diff()}

    def _diff(self) -> list[dict[str, str]]:
        return [
            {
                "before_header": path,
                "after_header": path,
                "before": self.before.get(path, ""),
                "after": self.after.get(path, ""),
            }
            for path in sorted({**self.before, **self.after})
        ]


@dataclass(frozen=True)
class KeptFolder:
    """:param folder: where it is, as it was given.
    :param playbook: that keeps it.
    :param variable: by which it was given.
    :param instance: whose files are in it.
    :param patterns: where files of the playbook stand.
    """

    folder: str
    playbook: str
    variable: str
    instance: str
    patterns: tuple[str, ...]

    def keep(self, files: Mapping[str, str], *, spared: Collection[str] = (), check: bool) -> Changes:
        """Bring the folder to these files.

        :param files: the text of every file, by its path.
        :param spared: folders in it that this run does not judge.
        :param check: say it only.
        :raises CrossmeshError: the folder, or something in it, belongs to others, or cannot be read or written.
        """
        changes = self._changes(files, spared)
        if not check:
            self._carry_out(changes)
        return changes

    def _changes(self, files: Mapping[str, str], spared: Collection[str]) -> Changes:
        wanted = {path: self._header + text for path, text in files.items()}
        with self._told():
            self._refuse_folder_of_others()
            self._refuse_files_of_others(wanted)
            there = {path: text for path, text in self._ours() if path.partition("/")[0] not in spared}
            mark = {} if self._owner() == self.instance else {self._mark: f"{self._header}{self.instance}\n"}
        after = {path: text for path, text in wanted.items() if there.get(path) != text}
        before = {path: text for path, text in there.items() if wanted.get(path) != text}
        return Changes(sorted(files), before, {**after, **mark})

    def _carry_out(self, changes: Changes) -> None:
        with self._told():
            for path, text in changes.after.items():
                (self._root / path).parent.mkdir(parents=True, exist_ok=True)
                (self._root / path).write_text(text, encoding="utf-8")
            for path in changes.removed:
                (self._root / path).unlink()
                self._remove_empty((self._root / path).parent)

    def _remove_empty(self, inner: Path) -> None:
        """What else is in a folder keeps it."""
        with suppress(OSError):
            while inner != self._root:
                inner.rmdir()
                inner = inner.parent

    @property
    def _root(self) -> Path:
        return Path(self.folder)

    @property
    def _mark(self) -> str:
        return f".crossmesh-{self.playbook}"

    @property
    def _header(self) -> str:
        """By it as its first line a file is known to be ours."""
        what = "from the inventory. What is changed here is lost."
        return f"# Written by playbook {self.playbook} of crossmesh.mtls, {what}\n"

    def _refuse_folder_of_others(self) -> None:
        if not self.folder:
            raise self._error("folder-not-given", self.variable, "it is not set", "set it to a folder for these files")
        if self._root.is_dir():
            owner = self._owner()
            if owner == self.instance or not any(self._root.iterdir()):
                return
            what = (
                f"it is that of instance {owner}" if owner else f"it is not empty, and {self.playbook} has not made it"
            )
        elif self._root.is_symlink() or self._root.exists():
            what = "it is no folder"
        else:
            return
        fix = f"set {self.variable} to a folder of its own, such as one below that one"
        raise self._error("folder-not-ours", f"{self.variable}: {shown_path(self.folder)}", what, fix)

    def _owner(self) -> str:
        """The instance whose folder it is; empty where the mark is missing, or none of ours."""
        mark = self._root / self._mark
        text = _text_of(mark) if mark.is_file() and not mark.is_symlink() else ""
        return text.removeprefix(self._header).strip() if text.startswith(self._header) else ""

    def _refuse_files_of_others(self, wanted: Collection[str]) -> None:
        foreign = [path for path in (self._mark, *wanted) if self._leads_elsewhere(path) or self._is_foreign(path)]
        if foreign:
            what = f"files of others stand where {self.playbook} writes: {listed(foreign)}"
            raise self._error("file-not-ours", shown_path(self.folder), what, "move them to another place")

    def _leads_elsewhere(self, path: str) -> bool:
        """Whether a symbolic link is on the way to a file, or something that is no folder."""
        parts = Path(path).parts
        inner = [self._root.joinpath(*parts[:depth]) for depth in range(1, len(parts))]
        return any(place.is_symlink() or (place.exists() and not place.is_dir()) for place in inner)

    def _is_foreign(self, path: str) -> bool:
        place = self._root / path
        if place.is_symlink():
            return True
        return place.exists() and not (place.is_file() and _text_of(place).startswith(self._header))

    def _ours(self) -> Iterator[tuple[str, str]]:
        """Path and text of every file of ours that is there."""
        for pattern in self.patterns:
            for place in self._root.glob(pattern):
                path = str(place.relative_to(self._root))
                if not self._leads_elsewhere(path) and not self._is_foreign(path):
                    yield path, _text_of(place)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the file system refuses, as a message."""
        try:
            yield
        except OSError as error:
            what = f"it cannot be read or written: {error.strerror}"
            fix = f"set {self.variable} to a folder that can be written"
            raise self._error("folder-not-written", shown_path(self.folder), what, fix) from None

    def _error(self, code: str, where: str, what: str, fix: str) -> CrossmeshError:
        return CrossmeshError(Message.error(code, where=where, what=what, fix=fix))


def _text_of(place: Path) -> str:
    return place.read_text(encoding="utf-8", errors="replace")
