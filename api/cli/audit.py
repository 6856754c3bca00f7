"""`artifact-keeper audit`: check a registry's history, or a copy of it, without trusting the registry."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec
import rich_click as click

from api.cli.remote_log import RemoteLog
from api.composition.auditing import verifier_of
from application.audit.transparency import bundle_of
from domain.errors import Invalid
from domain.transparency.audit_report import AuditReport
from domain.transparency.bundle import BundleMalformed, Garbled, Head, Line, LoggedEvent, format_line, read_lines
from domain.transparency.bundle_audit import audit as check
from domain.transparency.merkle import CompactRange
from domain.transparency.notes import (
    NoteVerifier,
    TreeHead,
    open_tree_head,
    parse_note,
    parse_tree_head,
    parse_verifier_key,
)
from domain.transparency.tiles import TILE_WIDTH, compact_range_at

T = TypeVar("T")

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_PROGRESS_SECONDS = 0.5

_url = click.option(
    "--url",
    envvar="AK_URL",
    default="http://127.0.0.1:8080",
    show_default=True,
    show_envvar=True,
    help="Address of the registry.",
)
_token = click.option(
    "--token", envvar="AK_TOKEN", show_envvar=True, help="Token of an administrator; events need one, proofs do not."
)
_every = click.option("--every-checkpoint", is_flag=True, help="Take every signed checkpoint, not one of 256 events.")


class Memory(msgspec.Struct, frozen=True):
    """What an auditor keeps between two checks: the pinned key and the last checkpoint that was verified."""

    key: str
    checkpoint: str


@click.group()
def audit() -> None:
    """Prove that the history of a registry was not altered.

    The registry signs what its log has become about once a second. Whoever keeps one of those checkpoints can prove
    later that nothing before it was changed, removed or reordered; and if something was, which event.
    """


@audit.command()
@_url
@_token
@click.option("--bundle", type=click.File("rb"), help="Check this export instead of a running registry; - for stdin.")
@click.option("--key", help="The log's verifier key, from a source that you trust.")
@click.option("--checkpoint", "kept", type=_FILE, multiple=True, help="A checkpoint kept earlier; may be repeated.")
@click.option("--state", type=click.Path(dir_okay=False, path_type=Path), help="Remember key and checkpoint here.")
@click.option("--new-only", is_flag=True, help="Skip the events that --state has seen verified before.")
@_every
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def verify(
    context: click.Context,
    url: str,
    token: str | None,
    bundle: BinaryIO | None,
    key: str | None,
    kept: tuple[Path, ...],
    state: Path | None,
    new_only: bool,
    every_checkpoint: bool,
    as_json: bool,
) -> None:
    """Check every event against what was signed, and name those that were altered.

    Exit status: 0 everything is as it was signed; 1 something is not; 2 wrong use; 3 the registry cannot be reached.

    With --state the key is pinned at the first check, and each check proves that the log continues the last one: a
    registry that was set back or given another past is found out even if it signs that past anew.
    """
    memory = _recall(state)
    if new_only and (memory is None or bundle is not None):
        raise click.UsageError("--new-only needs a running registry and the --state of an earlier check")
    log = RemoteLog(url, token)
    pinned = _pin(key, memory, log if bundle is None else None)
    verifiers = [verifier_of(pinned)]
    known = [_kept(path.read_bytes(), verifiers, str(path)) for path in kept]
    if memory is not None:
        known.append(_kept(memory.checkpoint.encode(), verifiers, str(state)))
    if bundle is None:
        head = Head(note=log.checkpoint(), key=pinned)
        report = _check_remote(log, head, verifiers, known, new_only, every_checkpoint)
        heads = [head.note]
    else:
        heads = []
        report = check(_watched(_noting(read_lines(bundle), heads)), verifiers, known)
    click.echo(_json(report) if as_json else _text(report, pinned))
    if not report.verified:
        context.exit(1)
    if state is not None:
        _remember(state, Memory(pinned, heads[0]))


@audit.command()
@click.option("--to", "target", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write.")
@_url
@_token
@_every
def export(target: Path, url: str, token: str | None, every_checkpoint: bool) -> None:
    """Write the whole log with all that proves it into one file, to be checked anywhere by `audit verify --bundle`.

    One JSON object a line: events exactly as stored (base64), their leaf hashes, signed checkpoints. The file holds
    every name and address in the log: treat it as the log itself.
    """
    log = RemoteLog(url, token)
    head = Head(note=log.checkpoint(), key=log.verifier_key())
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    count = 0
    try:
        with draft.open("wb") as file:
            for line in _watched(bundle_of(log, head, spread=not every_checkpoint)):
                if isinstance(line, Garbled):
                    raise BundleMalformed(f"{log.url} gives events that cannot be read: {line.detail}")
                count += isinstance(line, LoggedEvent)
                file.write(format_line(line))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    click.echo(f"{count} events written to {target}. Check them anywhere with a key from a source that you trust:")
    click.echo(f"  artifact-keeper audit verify --bundle {target} --key '{head.key}'")


def _check_remote(
    log: RemoteLog,
    head: Head,
    verifiers: list[NoteVerifier],
    known: list[TreeHead],
    new_only: bool,
    every_checkpoint: bool,
) -> AuditReport:
    size = parse_tree_head(parse_note(head.note.encode()).text).size
    first = min([size, *(kept.size for kept in known)]) // TILE_WIDTH if new_only else 0
    begin = compact_range_at(log, first * TILE_WIDTH) if first else CompactRange()
    lines = bundle_of(log, head, first, spread=not every_checkpoint)
    return check(_watched(lines), verifiers, known, begin)


def _pin(key: str | None, memory: Memory | None, log: RemoteLog | None) -> str:
    """The key to trust: the one given, else the one remembered, else the registry's own, with a warning."""
    if key is not None and memory is not None and key.strip() != memory.key:
        raise Invalid("the key given is not the one remembered in --state: one of the two belongs to another log")
    if key is not None:
        return key.strip()
    if memory is not None:
        return memory.key
    if log is None:
        raise click.UsageError("--key is needed with --bundle: a key from inside the bundle would prove nothing")
    fetched = str(parse_verifier_key(log.verifier_key()))
    warning = f"warning: trusting the key that {log.url} gives; pin it with --key or --state"
    click.echo(f"{warning}\n  {_printable(fetched)}", err=True)
    return fetched


def _kept(note: bytes, verifiers: list[NoteVerifier], source: str) -> TreeHead:
    try:
        return open_tree_head(note, verifiers)
    except Invalid as error:
        raise Invalid(f"the checkpoint in {source} is not one of this log: {error}") from error


def _recall(state: Path | None) -> Memory | None:
    if state is None or not state.exists():
        return None
    try:
        return msgspec.json.decode(state.read_bytes(), type=Memory)
    except msgspec.DecodeError as error:
        raise Invalid(f"{state} does not hold the state of an earlier check") from error


def _remember(state: Path, memory: Memory) -> None:
    draft = state.with_name(f".{state.name}.{os.getpid()}.part")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(memory), indent=2) + b"\n")
    draft.replace(state)


def _noting(lines: Iterable[Line | Garbled], heads: list[str]) -> Iterator[Line | Garbled]:
    """Pass lines on and keep the note of the head."""
    for line in lines:
        if isinstance(line, Head):
            heads.append(line.note)
        yield line


def _watched(lines: Iterable[T]) -> Iterator[T]:
    """Pass lines on and, for somebody who looks, say how far it is."""
    shown, events = time.monotonic(), 0
    watched = sys.stderr.isatty()
    for line in lines:
        if watched and isinstance(line, LoggedEvent):
            events += 1
            if time.monotonic() - shown > _PROGRESS_SECONDS:
                shown = time.monotonic()
                click.echo(f"\r{events} events", nl=False, err=True)
        yield line
    if watched:
        click.echo("\r\x1b[K", nl=False, err=True)


def _text(report: AuditReport, key: str) -> str:
    lines = [f"{finding.fault.upper():<12} {finding.detail}" for finding in report.findings]
    if not report.complete:
        lines.append("the check ended early; there may be more")
    if report.verified and report.head is not None:
        until = f", the last one recorded {report.until.isoformat()}" if report.until else ""
        lines.append(f"VERIFIED     {report.events} events up to {report.head.size}{until}")
        lines.append(f"             {report.checkpoints} checkpoints agree, signed by {key}")
    else:
        findings = "1 finding" if len(report.findings) == 1 else f"{len(report.findings)} findings"
        lines.append(
            f"NOT VERIFIED {findings} in {report.events} events; the largest checkpoint that agrees is {report.proven}"
        )
    return "\n".join(map(_printable, lines))


def _printable(text: str) -> str:
    """What is being checked may try to write on the auditor's terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _json(report: AuditReport) -> str:
    return msgspec.json.encode({"verified": report.verified, **msgspec.structs.asdict(report)}).decode()
