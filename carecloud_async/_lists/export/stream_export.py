"""An export to a pipe, a terminal or another target that is not a regular file."""

from __future__ import annotations

from attrs import evolve

from carecloud_async._base.runtime.threads import run_in_thread_until_stopped
from carecloud_async._lists.export.errors import BadExportError, CannotStartOverError
from carecloud_async._lists.export.read_list import read_list
from carecloud_async._lists.export.reading.scan import make_report
from carecloud_async._lists.export.report import ExportReport
from carecloud_async._lists.export.request import ExportRequest
from carecloud_async._lists.export.storage.checkpoint import Checkpoint
from carecloud_async._lists.export.storage.direct import DirectFile

__all__ = ["export_to_stream"]


async def export_to_stream(request: ExportRequest) -> ExportReport:
    """Export to a target that is not a regular file: what was written cannot be taken back, and nothing is resumed.

    Raises:
        ExportError: the export cannot start or continue.
        CareCloudError: the server cannot be read.
        OSError: the target cannot be written.
    """
    source, target = request.source, request.target
    if request.options.resume:
        raise BadExportError(f"{target.shown} is not a regular file: an export to it cannot be resumed")
    file = DirectFile(target, layout=request.layout, encode=request.encode)

    async def refuse() -> None:
        raise CannotStartOverError(
            f"the server does not keep {source.name} in the order of ids, and what was written to "
            f"{target.shown} cannot be taken back: export to a file"
        )

    try:
        await run_in_thread_until_stopped(file.open, stop=file.stop)
        counts = await read_list(
            request, Checkpoint(), commit=file.commit, restart=refuse, interval=0.0, stop=file.stop
        )
        await run_in_thread_until_stopped(file.finish, stop=file.stop)
    finally:
        file.close()
    report = make_report(source, counts, target=target.shown, resumed=False)
    return evolve(report, nulls=dict(file.nulls))
