"""A chart into the log, however it came: by the API of ChartMuseum, or as a bare file by the management API."""

from __future__ import annotations

import msgspec

from application.catalogue import ArtifactRow
from application.depositing import plain_file
from application.format import Deposit
from application.formats.helm.dialect import ChartNotFound, FileExists
from application.formats.helm.metadata import Chart, read_chart
from application.formats.helm.names import FOLDER, PROVENANCE, chart_path
from application.formats.helm.provenance import MAX_BYTES, Provenance, ProvenanceInvalid, parse_provenance
from application.formats.helm.stored import encode_facts, encode_provenance_facts, facts_of
from application.ports import Spooled
from application.publishing import NewFile, Properties, Target
from application.services import Services
from domain.artifact import Precondition
from domain.errors import TooLarge

MAX_CHART_BYTES = 64 << 20
CHART_TYPE = "application/gzip"
PROVENANCE_TYPE = "application/pgp-signature"
HUB_FILE = "artifacthub-repo.yml"
"""What Artifact Hub reads of a repository that it lists."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """How files came. force: whether the client wants a chart replaced, where the repository lets it."""

    force: bool = False
    properties: Properties | None = None
    precondition: Precondition | None = None


def publish_chart(
    services: Services, target: Target, archive: Spooled, provenance: Spooled | None, arrival: Arrival
) -> str:
    """Publish a chart, with its provenance where that came along; gives the path. The same bytes again change nothing.

    Another archive takes the old one's provenance away. Raises FileExists, ProvenanceInvalid, and what
    `read_chart` raises.
    """
    if archive.size_bytes > MAX_CHART_BYTES:
        raise TooLarge(f"a chart has at most {MAX_CHART_BYTES} bytes")
    with archive.open() as file:
        chart = read_chart(file)
    path = chart_path(*chart.coordinates)
    present = _require_room(services, target, path, archive, arrival)
    new = _chart_file(path, chart, archive, arrival, target)
    files = [new] if present is None or present.sha256 != archive.sha256 else []
    if provenance is not None:
        _agree(read_provenance(provenance), path, archive.sha256)
        files.append(_provenance_file(path, chart.name, chart.version, provenance, new.metadata))
    if not files:
        return path
    old = path + PROVENANCE
    if provenance is None and present is not None and services.catalogue.artifact(target.repository, old) is not None:
        services.publishing.move(target, [old], target, files)
    else:
        services.publishing.publish(target, files)
    return path


def publish_provenance(services: Services, target: Target, provenance: Spooled, arrival: Arrival) -> str:
    """Publish the provenance of a chart that is here; gives the path. Raises ChartNotFound, ProvenanceInvalid."""
    stated = read_provenance(provenance)
    row = services.catalogue.artifact(target.repository, FOLDER + stated.file)
    if row is None:
        raise ChartNotFound
    _agree(stated, row.path, row.sha256)
    path = row.path + PROVENANCE
    _require_room(services, target, path, provenance, arrival)
    facts = facts_of(row, services.blobs)
    new = _provenance_file(row.path, row.package, row.version, provenance, facts)
    services.publishing.publish(target, [msgspec.structs.replace(new, properties=arrival.properties)])
    return path


def read_provenance(spooled: Spooled) -> Provenance:
    """What a provenance file is about. Raises ProvenanceInvalid."""
    if spooled.size_bytes > MAX_BYTES:
        raise ProvenanceInvalid(f"larger than {MAX_BYTES} bytes")
    with spooled.open() as file:
        return parse_provenance(file.read())


def deposit(given: Deposit) -> str:
    """`Format.deposit`: a chart or its provenance, which say themselves where they belong; the file of Artifact Hub."""
    arrival = Arrival(force=True, properties=given.properties or None, precondition=given.precondition)
    if given.path == HUB_FILE:
        new = msgspec.structs.replace(plain_file(given), media_type="application/yaml", overwrite="replace")
        given.services.publishing.publish(given.target, [new])
        return new.path
    if given.path.endswith(PROVENANCE):
        return publish_provenance(given.services, given.target, given.spooled, arrival)
    return publish_chart(given.services, given.target, given.spooled, None, arrival)


def _require_room(
    services: Services, target: Target, path: str, spooled: Spooled, arrival: Arrival
) -> ArtifactRow | None:
    """What is at the path, if that may be replaced or is the same. Raises FileExists."""
    row = services.catalogue.artifact(target.repository, path)
    if row is not None and row.sha256 != spooled.sha256 and not (arrival.force and _replaceable(target)):
        raise FileExists(row.filename)
    return row


def _replaceable(target: Target) -> bool:
    return target.settings.overwrite == "allow" or target.settings.versioning_enabled


def _agree(stated: Provenance, path: str, sha256: str) -> None:
    file = path.removeprefix(FOLDER)
    if stated.file != file:
        raise ProvenanceInvalid(f"it is of {stated.file!r}, the chart is {file!r}")
    if stated.sha256 != sha256:
        raise ProvenanceInvalid(f"it says that {file} has the digest {stated.sha256}; the chart here has {sha256}")


def _chart_file(path: str, chart: Chart, archive: Spooled, arrival: Arrival, target: Target) -> NewFile:
    precondition = arrival.precondition
    if not arrival.force and _replaceable(target):  # nobody asked to replace one that comes meanwhile
        precondition = Precondition(none_match=("*",))
    return NewFile(
        path=path,
        spooled=archive,
        media_type=CHART_TYPE,
        package=chart.name,
        name=chart.name,
        version=chart.version,
        metadata=encode_facts(chart),
        properties=arrival.properties,
        precondition=precondition,
    )


def _provenance_file(path: str, name: str, version: str, provenance: Spooled, facts: bytes) -> NewFile:
    return NewFile(
        path=path + PROVENANCE,
        spooled=provenance,
        media_type=PROVENANCE_TYPE,
        package=name,
        name=name,
        version=version,
        metadata=encode_provenance_facts(facts),
    )
