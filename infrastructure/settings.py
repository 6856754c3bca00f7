"""The settings of the registry: read once from the environment, by the composition root, into one frozen value.

The variables are rows of `setting_table.py`; loading, `artifact-keeper settings` and the README are made from it.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from domain.errors import Invalid
from infrastructure.env_file import EnvFileInvalid, read_env_file
from infrastructure.secret_file import kept_secret, weakness
from infrastructure.setting_kinds import Address, Network
from infrastructure.setting_table import SETTINGS, Computed, Setting

_log = logging.getLogger(__name__)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the environment decided. A field is None where its setting has no value and no default."""

    data_dir: Path
    production: bool
    env_file: Path | None
    bind_address: Address
    external_url: str | None
    enforce_https: bool
    api_workers: int
    api_threads: int
    job_threads: int
    max_concurrency: int
    body_idle_seconds: int
    auth_max_concurrency: int

    database_url: str | None
    database_max_connections: int
    database_min_connections: int
    database_acquire_timeout_seconds: int
    database_idle_timeout_seconds: int
    database_max_lifetime_seconds: int
    redis_url: str | None
    valkey_max_bytes: int
    document_cache_bytes: int
    meilisearch_url: str | None
    meilisearch_api_key: str | None
    meilisearch_index: str

    storage_backend: str
    storage_path: Path
    s3_bucket: str | None
    s3_prefix: str
    s3_region: str
    s3_endpoint: str
    s3_public_endpoint: str | None
    s3_access_key_id: str | None
    s3_secret_access_key: str | None
    s3_ca_cert_path: Path | None
    presigned_downloads: bool
    presigned_download_expiry_seconds: int
    upload_staging_dir: Path
    max_upload_bytes: int
    blob_gc_enabled: bool
    blob_gc_grace_seconds: int

    log_origin: str
    log_signing_key: str | None
    signing_key_overlap_days: int
    history_retention_days: int
    audit_stream: str

    jwt_secret: str
    instance_key: str
    jwt_access_token_expiry_minutes: int
    jwt_refresh_token_expiry_days: int
    admin_password: str | None
    skip_admin_provisioning: bool
    setup_password_hint: str | None
    guest_access: bool
    demo_mode: bool
    account_lockout_threshold: int
    account_lockout_duration_minutes: int
    password_min_length: int
    password_max_length: int
    password_history_count: int
    password_require_uppercase: bool
    password_require_lowercase: bool
    password_require_digit: bool
    password_require_special: bool
    password_min_strength: int

    rate_limit_enabled: bool
    rate_limit_window_seconds: int
    rate_limit_api: int
    rate_limit_auth: int
    rate_limit_search: int
    rate_limit_presign: int
    rate_limit_login: int
    rate_limit_login_window_seconds: int
    rate_limit_login_global: int
    rate_limit_password: int
    rate_limit_password_window_seconds: int
    rate_limit_exempt_usernames: tuple[str, ...]
    rate_limit_trusted_networks: tuple[Network, ...]
    trusted_proxies: tuple[Network, ...]
    upstream_networks: tuple[Network, ...]
    upstream_private: bool
    ca_cert_path: Path | None
    cors_origins: tuple[str, ...]

    log_level: str
    log_format: str
    log_probe_requests: bool
    metrics_port: int | None
    swagger: bool
    detailed_health: bool

    def __repr__(self) -> str:
        """Secrets are left out, so that no log line or traceback can show one."""
        shown = ", ".join(f"{item.field}={getattr(self, item.field)!r}" for item in SETTINGS if not item.secret)
        return f"Settings({shown})"


class SettingFault(msgspec.Struct, frozen=True):
    """What is wrong with one variable. given: None when it is secret or absent."""

    name: str
    given: str | None
    accepted: str

    def __str__(self) -> str:
        given = "" if self.given is None else f", not {self.given!r}"
        return f"{self.name} must be {self.accepted}{given}"


class SettingInvalid(Invalid):
    """Some variables cannot be used; `faults` has all of them, the message one line for each."""

    template = "{lines}"

    def __init__(self, faults: tuple[SettingFault, ...]) -> None:
        super().__init__(lines="\n".join(map(str, faults)))
        self.faults = faults


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the environment, and beneath it the file that AK_ENV_FILE names.

    An empty variable counts as not set. Without JWT_SECRET, outside production, a random one is made and kept below
    the data directory. Unknown AK_ variables are warned about. Raises SettingInvalid with every fault at once.
    """
    faults: list[SettingFault] = []
    given = _with_file(environ, faults)
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        values[setting.field] = _value(setting, given.get(setting.name, "").strip(), values, faults)
    if not faults:
        faults.extend(_contradictions(values))
    if faults:
        raise SettingInvalid(tuple(faults))
    for line in unknown_variables(given):
        _log.warning("%s", line)
    if values["jwt_secret"] is None:
        values["jwt_secret"] = kept_secret(values["data_dir"] / "secrets" / "jwt")
    if values["instance_key"] is None:
        values["instance_key"] = kept_secret(values["data_dir"] / "secrets" / "instance")
    return Settings(**values)


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each AK_ variable that no setting has, with the name that was probably meant."""
    known = [setting.name for setting in SETTINGS]
    lines = []
    for name in sorted(environ):
        if name.startswith("AK_") and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            lines.append(f"{name} is not a setting" + (f"; did you mean {close[0]}?" if close else ""))
    return lines


def _with_file(environ: Mapping[str, str], faults: list[SettingFault]) -> Mapping[str, str]:
    path = environ.get("AK_ENV_FILE", "").strip()
    if not path:
        return environ
    try:
        beneath = read_env_file(Path(path).expanduser())
    except EnvFileInvalid as fault:
        faults.append(SettingFault("AK_ENV_FILE", None, f"a readable file of NAME=value lines: {fault}"))
        return environ
    return {**beneath, **{name: value for name, value in environ.items() if value.strip() or name not in beneath}}


def _value(setting: Setting, text: str, values: Mapping[str, Any], faults: list[SettingFault]) -> Any:
    if text:
        try:
            return setting.parse.read(text)
        except ValueError:  # its default takes its place, for what is computed from it until all faults are known
            faults.append(SettingFault(setting.name, None if setting.secret else text, setting.parse.accepts))
    if isinstance(setting.default, Computed):
        return setting.default.value(values)
    return None if setting.default is None else setting.parse.read(setting.default)


def _contradictions(values: Mapping[str, Any]) -> list[SettingFault]:
    """What each variable alone cannot tell."""
    faults = []
    for name, field in (("JWT_SECRET", "jwt_secret"), ("AK_INSTANCE_KEY", "instance_key")):
        if values[field] is None:
            if values["production"]:
                faults.append(SettingFault(name, None, "set in production: `openssl rand -base64 48` makes one"))
        elif reason := weakness(values[field]):
            faults.append(SettingFault(name, None, f"at least 32 random bytes: this one {reason}"))
    if values["storage_backend"] == "s3" and values["s3_bucket"] is None:
        faults.append(SettingFault("S3_BUCKET", None, "set when STORAGE_BACKEND is s3"))
    if (values["s3_access_key_id"] is None) != (values["s3_secret_access_key"] is None):
        faults.append(SettingFault("S3_SECRET_ACCESS_KEY", None, "set together with S3_ACCESS_KEY_ID, or neither"))
    if values["password_min_length"] > values["password_max_length"]:
        limit = f"at most PASSWORD_MAX_LENGTH ({values['password_max_length']})"
        faults.append(SettingFault("PASSWORD_MIN_LENGTH", str(values["password_min_length"]), limit))
    if values["database_min_connections"] > values["database_max_connections"]:
        limit = f"at most DATABASE_MAX_CONNECTIONS ({values['database_max_connections']})"
        faults.append(SettingFault("DATABASE_MIN_CONNECTIONS", str(values["database_min_connections"]), limit))
    if values["metrics_port"] is not None and values["metrics_port"] == values["bind_address"].port:
        faults.append(SettingFault("METRICS_PORT", str(values["metrics_port"]), "another port than BIND_ADDRESS has"))
    return faults
