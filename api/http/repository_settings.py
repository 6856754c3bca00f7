"""From the body of a request to the settings of a repository."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from api.app import App
from application.catalogue import RepositoryRow
from application.configuring import Credential
from domain.errors import Invalid
from domain.name_policy import checked_patterns, checked_scopes
from domain.permissions import Principal
from domain.repository import Member, RepositoryNotFound, Settings
from domain.upstream import Upstream, checked_ttl, checked_user_agent

if TYPE_CHECKING:
    from api.http.repositories import CreateRepository, MemberRequest, UpdateRepository

MAX_QUOTA_BYTES = 100 << 40
MAX_SHARED_NAMES = 1000
_PLAIN = ("overwrite", "versioning_enabled", "record_access", "quota_bytes", "promotion_only")
_APT = ("apt_origin", "apt_label", "apt_release_version", "apt_description")
_MAX_APT_CHARS = 1000
_NAMES = ("npm_allowed_scopes", "npm_allow_unscoped", "npm_allowed_name_patterns")
_NPM = "npm"
_OF_UPSTREAMS = {
    "index_upstream_url": "index_url",
    "pypi_upstream_index_path": "index_path",
    "custom_user_agent": "user_agent",
}


def chosen_settings(
    app: App, principal: Principal, identifier: UUID, format_key: str, data: CreateRepository
) -> Settings:
    """The settings of a repository that is created. Raises Invalid."""
    settings = _with_plain(Settings(), {name: getattr(data, name) for name in _PLAIN})
    settings = _with_apt(settings, format_key, data.repo_type, {name: getattr(data, name) for name in _APT})
    names = {name: value for name in _NAMES if (value := getattr(data, name)) is not None}
    settings = with_name_policy(app, settings, format_key, data.repo_type, names)
    if data.repo_type == "remote":
        return msgspec.structs.replace(settings, upstream=_upstream(app, identifier, data))
    if data.repo_type != "virtual":
        return settings
    if data.member_repos == []:
        raise Invalid("member_repos is empty; leave it out to add members later")
    settings = msgspec.structs.replace(settings, shared_names=_shared(data.shared_names))
    members = _members(app, principal, data.member_repos or ())
    settings = app.configuring.with_members(identifier, format_key, settings, members)
    return _published_to(settings, app, principal, data.publish_to)


def changed_settings(
    app: App, principal: Principal, row: RepositoryRow, data: UpdateRepository
) -> Settings | msgspec.UnsetType:
    """The settings of a repository that is changed; UNSET when they stay. Raises Invalid."""
    settings = _with_plain(row.settings, _given(data, _PLAIN))
    settings = _with_apt(settings, row.format, row.kind, _given(data, _APT))
    settings = with_name_policy(app, settings, row.format, row.kind, _given(data, _NAMES))
    upstream = {_OF_UPSTREAMS[name]: value for name, value in _given(data, tuple(_OF_UPSTREAMS)).items()}
    if upstream:
        if settings.upstream is None:
            raise Invalid(f"'{row.key}' is not a remote repository")
        checked = _checked(app, msgspec.structs.replace(settings.upstream, **upstream))
        settings = msgspec.structs.replace(settings, upstream=checked)
    if data.shared_names is not msgspec.UNSET:
        settings = msgspec.structs.replace(settings, shared_names=_shared(data.shared_names))
    if data.publish_to is not msgspec.UNSET:
        settings = _published_to(settings, app, principal, data.publish_to)
    if data.release_repository_key is not msgspec.UNSET:
        target = release_target(app, principal, row, data.release_repository_key)
        settings = msgspec.structs.replace(settings, release_target=target)
    return settings if settings != row.settings else msgspec.UNSET


def release_target(app: App, principal: Principal, row: RepositoryRow, key: str | None) -> UUID | None:
    """The repository to which alone files of a staging one may be promoted; None for no or an empty key.

    Raises RepositoryNotFound, Invalid.
    """
    if row.kind != "staging":
        raise Invalid(f"'{row.key}' is not a staging repository")
    if not key:
        return None
    linked = visible_repository(app, principal, key)
    if linked.kind != "local" or app.formats.by_key(linked.format) is not app.formats.by_key(row.format):
        raise Invalid(f"'{linked.key}' is not a local repository of format {row.format}")
    return linked.id


def visible_repository(app: App, principal: Principal, key: str) -> RepositoryRow:
    """The repository of that key, if the caller may know of it. Raises RepositoryNotFound."""
    resolved = app.access.resolve(principal, key)
    if resolved is None or "@" in key or not app.access.allows(principal, resolved, "read"):
        raise RepositoryNotFound(key)
    return resolved.repository


def _given(data: UpdateRepository, names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(data, name)) is not msgspec.UNSET}


def _with_plain(settings: Settings, values: dict[str, Any]) -> Settings:
    quota = values.get("quota_bytes")
    if quota is not None and not 0 <= quota <= MAX_QUOTA_BYTES:
        raise Invalid(f"quota_bytes is 0 to {MAX_QUOTA_BYTES}")
    if values.get("overwrite", "default") not in {"default", "allow", "once"}:
        raise Invalid("overwrite is one of default, allow, once")
    return msgspec.structs.replace(settings, **values)


def _with_apt(settings: Settings, format_key: str, kind: str, values: dict[str, str]) -> Settings:
    if any(values.values()) and (format_key != "debian" or kind not in {"local", "staging"}):
        raise Invalid(f"{', '.join(_APT)} are for hosted repositories of the format debian")
    for name, value in values.items():
        text = value.replace("\n", " ") if name == "apt_description" else value
        if len(text) > _MAX_APT_CHARS or (text and not text.isprintable()):
            raise Invalid(f"{name} is one line of at most {_MAX_APT_CHARS} characters")
    return msgspec.structs.replace(settings, **values)


def with_name_policy(app: App, settings: Settings, format_key: str, kind: str, values: dict[str, Any]) -> Settings:
    """The settings with what is given of the policy for names, by the fields of the API. Raises Invalid."""
    if not values:
        return settings
    require_name_policy(app, format_key, kind)
    policy = settings.name_policy
    if "npm_allowed_scopes" in values:
        policy = msgspec.structs.replace(policy, allowed_scopes=checked_scopes(values["npm_allowed_scopes"]))
    if "npm_allow_unscoped" in values:
        policy = msgspec.structs.replace(policy, allow_unscoped=values["npm_allow_unscoped"])
    if "npm_allowed_name_patterns" in values:
        policy = msgspec.structs.replace(policy, allowed_patterns=checked_patterns(values["npm_allowed_name_patterns"]))
    return msgspec.structs.replace(settings, name_policy=policy)


def require_name_policy(app: App, format_key: str, kind: str) -> None:
    """Raise Invalid where nothing could come from an upstream by a name with a scope."""
    found = app.formats.by_key(format_key)
    if found is None or found.key != _NPM or kind not in {"remote", "virtual"}:
        raise Invalid("a policy for scopes is for remote and virtual repositories of npm packages")


def _upstream(app: App, identifier: UUID, data: CreateRepository) -> Upstream:
    if data.upstream_url is None:
        raise Invalid("a remote repository needs an upstream_url")
    upstream = Upstream(
        url=data.upstream_url,
        index_url=data.index_upstream_url or "",
        index_path=data.pypi_upstream_index_path or "",
        user_agent=data.custom_user_agent,
        cache_ttl_seconds=None if data.cache_ttl_seconds is None else checked_ttl(data.cache_ttl_seconds),
    )
    credential = Credential(data.upstream_auth_type, data.upstream_username, data.upstream_password)
    return app.configuring.with_credential(identifier, _checked(app, upstream), credential)


def _checked(app: App, upstream: Upstream) -> Upstream:
    path = upstream.index_path.strip("/")
    if not path.isascii() or not path.isprintable() or " " in path or len(path) > 500:
        raise Invalid("pypi_upstream_index_path is a path below the upstream")
    return msgspec.structs.replace(
        upstream,
        url=app.configuring.checked_address(upstream.url),
        index_url=app.configuring.checked_address(upstream.index_url) if upstream.index_url else "",
        index_path=path,
        user_agent=checked_user_agent(upstream.user_agent),
    )


def _members(app: App, principal: Principal, asked: Sequence[MemberRequest]) -> list[Member]:
    return [
        Member(visible_repository(app, principal, one.repo_key).id, one.priority or place)
        for place, one in enumerate(asked, start=1)
    ]


def _published_to(settings: Settings, app: App, principal: Principal, key: str | None) -> Settings:
    if key is None:
        return msgspec.structs.replace(settings, publish_to=None)
    row = visible_repository(app, principal, key)
    if row.kind not in {"local", "staging"} or all(member.repository != row.id for member in settings.members):
        raise Invalid("publish_to names a hosted member of the virtual repository")
    return msgspec.structs.replace(settings, publish_to=row.id)


def _shared(names: Sequence[str]) -> tuple[str, ...]:
    if len(names) > MAX_SHARED_NAMES or any(not name or len(name) > 200 for name in names):
        raise Invalid(f"shared_names are at most {MAX_SHARED_NAMES} names or patterns")
    return tuple(names)
