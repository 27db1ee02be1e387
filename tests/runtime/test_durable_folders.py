"""Folders that several processes use at once."""

from pathlib import Path

from carecloud_async._base.runtime.durable_files import claim_folder


def test_a_file_that_goes_while_a_folder_is_claimed(tmp_path, monkeypatch):
    """A file that another process removes between being listed and being looked at is no error."""
    folder = tmp_path / "shared"
    claim_folder(folder)
    (folder / "stays").touch(mode=0o600)
    listed = [folder / "gone", folder / "stays"]
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(listed))
    claim_folder(folder)
