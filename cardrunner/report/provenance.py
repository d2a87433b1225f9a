"""What a run was made of: the code of its script, the image of its containers, the packages of its interpreter."""

from __future__ import annotations

from collections.abc import Iterator

from cardrunner.common.text import listed, plural
from cardrunner.report.recorded import RecordedRun
from cardrunner.report.table import Cell, Code, Strong
from cardrunner.runs.events import ContainerStarted
from cardrunner.runs.records import ImageRecord, InterpreterRecord, KeptCode, KeptPatch, readable_record

Row = tuple[Cell, Cell, Cell]
"""What, value, and where it is from."""


def code_rows(run: RecordedRun) -> Iterator[Row]:
    """The code of a script, and what it differs in from its commit."""
    kept = readable_record(run.folder.code_record, KeptCode)
    if kept is None:
        return
    yield "Code", Code(kept.sha256[:12]), f"{plural(len(kept.files), 'file')} in {kept.folder}, copied at the launch"
    yield "Code state", kept.state, "git, at the launch"
    if kept.patch is not None:
        yield "Changes since the commit", Code(kept.patch.sha256[:12]), _patch(kept.patch)


def interpreter_rows(run: RecordedRun) -> Iterator[Row]:
    """The interpreter of a script and what is installed in it, as it said at the newest attempt."""
    record = readable_record(run.folder.interpreter, InterpreterRecord)
    if record is None:
        return
    if record.sha256 is None:
        yield "Interpreter", Strong(f"⚠ {record.problem}"), f"attempt {record.attempt}"
    else:
        where = f"{record.program}, asked at attempt {record.attempt}"
        yield "Interpreter", f"Python {record.version}", where
        count = plural(len(record.packages), "package")
        yield "Packages", f"{count}, sha256 {record.sha256[:12]}", "interpreter.json lists them"
    for change in record.changes:
        yield "Interpreter or packages differ", Strong(f"⚠ {change}"), "between attempts"
    for place in record.outside:
        yield "Code outside of the signature", Strong(f"⚠ {place}"), "PYTHONPATH, or an editable install"
    for place, digest in record.custom.items():
        yield "Run at every start", place, f"sha256 {digest[:12]}"


def image_rows(run: RecordedRun) -> Iterator[Row]:
    """The images of the run's containers, each once."""
    found = [event.image for event in run.events if isinstance(event, ContainerStarted) and event.image is not None]
    images = {image.sha256: image for image in found}
    for number, image in enumerate(images.values(), 1):
        name = "Image" if len(images) == 1 else f"Image {number}"
        yield name, Code(image.sha256[:12]), _image(image)
    if len(images) > 1:
        yield "Images", Strong("⚠ they differ between containers"), "the ledger has the whole lists"


def _patch(patch: KeptPatch) -> str:
    hidden = ", with secrets hidden" if patch.hidden else ""
    return f"code.patch{hidden}" if patch.whole else f"larger than code.patch may be ({patch.bytes:,} bytes), left out"


def _image(image: ImageRecord) -> str:
    parts = [f"Python {image.python}", plural(len(image.packages), "package line")]
    parts += [f"system packages {', '.join(image.system_packages)}"] if image.system_packages else []
    parts += [f"sources of {plugin.package} {plugin.version}" for plugin in image.plugins]
    parts += [f"the code {image.code[:12]}"] if image.code else []
    return listed(parts)
