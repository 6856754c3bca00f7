"""Charts of another repository, shown as our own: its index with our addresses, archives as its index vouches for."""

from __future__ import annotations

from collections import OrderedDict

from application.formats.helm.dialect import ChartNotFound
from application.formats.helm.index import INDEX_TYPE, Entry, render_index
from application.formats.helm.names import FOLDER, PROVENANCE
from application.formats.helm.provenance import MAX_BYTES, ProvenanceInvalid, parse_provenance
from application.formats.helm.publishing import CHART_TYPE, MAX_CHART_BYTES, PROVENANCE_TYPE
from application.formats.helm.reading import is_file, told_charts, told_version, told_versions
from application.formats.helm.upstream import MAX_BYTES as MAX_INDEX_BYTES
from application.formats.helm.upstream import Offer, read_index
from application.ports import Spooled
from application.proxying.ageing import gate_key, is_held_back, require_age
from application.proxying.proxy import Fetched, proxy_of, source_url, upstream_of
from application.proxying.resources import Resource
from application.wire import Answer, AnyAnswer, Call, Document, File, Stream

INDEX = ".index/index.yaml"
"""Where what the upstream says is kept, apart from its charts."""

_MAX_REMEMBERED = 2
_remembered: OrderedDict[str, dict[str, Offer]] = OrderedDict()
"""Indexes by what they hash to: a large one takes seconds to read, and every chart is looked up in it."""


def get_index(call: Call) -> AnyAnswer:
    """GET index.yaml."""
    fetched = fetch_index(call)

    def render() -> Document:
        body = render_index(shown(call, fetched), fetched.row.published_at)
        return Document(body=body, media_type=INDEX_TYPE)

    return proxy_of(call).document([fetched], f"index.yaml {gate_key(upstream_of(call))}", render)


def get_file_or_versions(call: Call) -> AnyAnswer:
    """GET charts/{name}: a file, or what is told of a chart."""
    return get_file(call) if is_file(call.params["name"]) else get_versions(call)


def get_file(call: Call) -> File | Stream:
    """An archive, or the provenance beside it."""
    name = call.params["name"]
    proxy, upstream, path = proxy_of(call), upstream_of(call), FOLDER + name
    if call.at is not None or not upstream.age_gate.enabled:
        row = call.services.catalogue.artifact(call.content, path, call.at)
        if row is not None:
            return proxy.sent(Fetched(row), Resource(path=path, url="", lifetime="immutable"))
    fetched = fetch_index(call)
    offer = offers_of(call, fetched).get(name.removesuffix(PROVENANCE))
    if offer is None:
        raise ChartNotFound
    require_age(upstream, name, offer.entry.created_at)
    address = offer.address(source_url(fetched))
    return proxy.file(call, _provenance(offer, address) if name.endswith(PROVENANCE) else _chart(offer, address))


def list_charts(call: Call) -> Answer:
    """GET api/charts."""
    return told_charts(call, shown(call, fetch_index(call)))


def get_versions(call: Call) -> Answer:
    """GET api/charts/{name}."""
    return told_versions(call, shown(call, fetch_index(call)))


def get_version(call: Call) -> Answer:
    """GET api/charts/{name}/{version}."""
    return told_version(call, shown(call, fetch_index(call)))


def fetch_index(call: Call) -> Fetched:
    """The upstream's index, fresh, or as it was."""
    resource = Resource(
        path=INDEX,
        url="index.yaml",
        lifetime="mutable",
        index=True,
        max_bytes=MAX_INDEX_BYTES,
        media_type=INDEX_TYPE,
        check=lambda spooled, _: read_index(spooled.path.read_bytes()),
    )
    return proxy_of(call).fetch(call, resource)


def offers_of(call: Call, fetched: Fetched) -> dict[str, Offer]:
    """The charts of an index that was fetched, by the names of their files."""
    found = _remembered.get(fetched.row.sha256)
    if found is None:
        found = _remembered[fetched.row.sha256] = read_index(proxy_of(call).read(fetched))
        while len(_remembered) > _MAX_REMEMBERED:
            _remembered.popitem(last=False)
    return found


def shown(call: Call, fetched: Fetched) -> list[Entry]:
    """What the index tells of charts that are not held back."""
    upstream = upstream_of(call)
    every = (offer.entry for offer in offers_of(call, fetched).values())
    return [entry for entry in every if not is_held_back(upstream, entry.created_at)]


def _chart(offer: Offer, address: str) -> Resource:
    entry = offer.entry
    return Resource(
        path=FOLDER + entry.file,
        url=address,
        lifetime="immutable",
        digests={"sha256": entry.sha256} if entry.sha256 else {},
        max_bytes=MAX_CHART_BYTES,
        media_type=CHART_TYPE,
        package=entry.name,
        name=entry.name,
        version=entry.version,
        metadata=entry.facts,
    )


def _provenance(offer: Offer, address: str) -> Resource:
    return Resource(
        path=FOLDER + offer.entry.file + PROVENANCE,
        url=address + PROVENANCE,
        lifetime="immutable",
        max_bytes=MAX_BYTES,
        media_type=PROVENANCE_TYPE,
        check=lambda spooled, _: _check(offer, spooled),
    )


def _check(offer: Offer, spooled: Spooled) -> None:
    """What an upstream says of another archive than its index does is not handed on."""
    found = parse_provenance(spooled.path.read_bytes())
    if offer.entry.sha256 and found.sha256 != offer.entry.sha256:
        raise ProvenanceInvalid(f"it is of another archive than {offer.entry.file!r} in the index")
