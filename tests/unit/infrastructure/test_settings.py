"""Settings: what the environment decides, and what is said when it cannot be used."""

from __future__ import annotations

import stat
from ipaddress import ip_network
from pathlib import Path
from types import UnionType
from typing import Any, get_origin, get_type_hints

import pytest

from infrastructure.secret_file import SecretFileInvalid
from infrastructure.setting_kinds import Address
from infrastructure.setting_table import SETTINGS, Computed
from infrastructure.settings import SettingInvalid, Settings, load_settings, unknown_variables
from infrastructure.settings_help import BEGIN, END, plain, with_table

SECRET = "q3b8Zr1mXw7nK5tLh2cVd9sJf4gYp6uAeO0iTzNxRyQ"
PROJECT = Path(__file__).parents[3]


def load(**variables: str) -> Settings:
    return load_settings({"JWT_SECRET": SECRET, "AK_INSTANCE_KEY": SECRET[::-1], **variables})


def faults(**variables: str) -> dict[str, str]:
    with pytest.raises(SettingInvalid) as refused:
        load(**variables)
    assert str(refused.value).splitlines() == [str(fault) for fault in refused.value.faults]
    return {fault.name: str(fault) for fault in refused.value.faults}


def test_an_empty_environment_is_a_complete_development_setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    settings = load_settings({})

    assert settings.data_dir == tmp_path / ".data"
    assert settings.storage_path == tmp_path / ".data" / "blobs"
    assert settings.upload_staging_dir == tmp_path / ".data" / "blobs" / "incoming"
    assert settings.bind_address == Address("127.0.0.1", 8080)
    assert settings.database_url is None
    assert settings.redis_url is None
    assert settings.max_upload_bytes == 10737418240
    assert settings.cors_origins == ("http://localhost:3000",)
    assert not settings.production
    assert settings.swagger
    assert settings.api_workers >= 1
    assert load_settings({"AK_API_WORKERS": "16"}).database_max_connections == 10


def test_every_row_has_its_field_and_every_field_its_row() -> None:
    fields = [setting.field for setting in SETTINGS]

    assert sorted(fields) == sorted(Settings.__struct_fields__)
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)


def test_every_default_is_of_its_fields_type(tmp_path: Path) -> None:
    hints = get_type_hints(Settings)
    settings = load(AK_DATA_DIR=str(tmp_path))

    for name, hint in hints.items():
        value = getattr(settings, name)
        assert isinstance(value, hint if isinstance(hint, UnionType) else get_origin(hint) or hint), name


def test_every_textual_default_is_accepted_by_its_own_kind() -> None:
    for setting in SETTINGS:
        if isinstance(setting.default, str) and setting.default:
            setting.parse.read(setting.default)


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("BIND_ADDRESS", "[::1]:9000", "bind_address", Address("::1", 9000)),
        ("BIND_ADDRESS", "registry.internal:0", "bind_address", Address("registry.internal", 0)),
        ("AK_EXTERNAL_URL", "https://example.org/registry/", "external_url", "https://example.org/registry"),
        ("MAX_UPLOAD_SIZE", "512MiB", "max_upload_bytes", 512 * 1024 * 1024),
        ("MAX_UPLOAD_SIZE", "2 g", "max_upload_bytes", 2 * 1024**3),
        ("MAX_UPLOAD_SIZE", "1000", "max_upload_bytes", 1000),
        ("DEMO_MODE", "YES", "demo_mode", True),
        ("AK_GUEST_ACCESS_ENABLED", "off", "guest_access", False),
        ("CORS_ORIGINS", "https://A.example, http://b:81,", "cors_origins", ("https://a.example", "http://b:81")),
        (
            "RATE_LIMIT_TRUSTED_PROXY_CIDRS",
            "10.0.0.0/8,fd00::/8, 192.0.2.1",
            "trusted_proxies",
            (ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("192.0.2.1/32")),
        ),
        ("DATABASE_URL", "postgresql://a:b@db/registry", "database_url", "postgresql://a:b@db/registry"),
        ("REDIS_URL", "unix:///run/valkey.sock", "redis_url", "unix:///run/valkey.sock"),
        ("STORAGE_PATH", "/srv/blobs", "storage_path", Path("/srv/blobs")),
        ("METRICS_PORT", "9100", "metrics_port", 9100),
        ("LOG_LEVEL", "WARNING", "log_level", "warning"),
        ("ENABLE_SWAGGER", " false ", "swagger", False),
        ("API_IS_NOT_A_SETTING", "x", "demo_mode", False),
    ],
)
def test_values_are_read(name: str, text: str, field: str, value: object) -> None:
    assert getattr(load(**{name: text}), field) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("BIND_ADDRESS", "8080"),
        ("BIND_ADDRESS", "localhost:99999"),
        ("BIND_ADDRESS", ":8080"),
        ("AK_EXTERNAL_URL", "example.org"),
        ("AK_EXTERNAL_URL", "https://user@example.org"),
        ("AK_EXTERNAL_URL", "https://example.org/?a=b"),
        ("AK_API_WORKERS", "0"),
        ("AK_API_WORKERS", "two"),
        ("AK_API_WORKERS", "²"),
        ("MAX_UPLOAD_SIZE", "-1"),
        ("MAX_UPLOAD_SIZE", "1.5GiB"),
        ("DEMO_MODE", "maybe"),
        ("ENVIRONMENT", "staging"),
        ("STORAGE_BACKEND", "tape"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "null"),
        ("CORS_ORIGINS", "https://example.org/path"),
        ("RATE_LIMIT_TRUSTED_CIDRS", "10.0.0.1/8"),
        ("REDIS_URL", "http://cache"),
        ("MEILISEARCH_URL", "http://search:port"),
        ("AK_LOG_ORIGIN", "my log"),
        ("AK_LOG_ORIGIN", "a+b"),
        ("LOG_FORMAT", "xml"),
        ("S3_CA_CERT_PATH", "a\0b"),
    ],
)
def test_a_bad_value_is_refused_by_name_with_what_is_accepted(name: str, text: str) -> None:
    accepted = next(setting.parse.accepts for setting in SETTINGS if setting.name == name)
    found = faults(**{name: text})

    assert list(found) == [name]
    assert "must be" in found[name]
    assert accepted in found[name] or name == "REDIS_URL"
    assert repr(text) in found[name] or name == "REDIS_URL"


def test_all_faults_are_reported_at_once() -> None:
    assert list(faults(METRICS_PORT="none", LOG_LEVEL="loud", ENVIRONMENT="x")) == [
        "ENVIRONMENT",
        "LOG_LEVEL",
        "METRICS_PORT",
    ]


def test_the_value_of_a_secret_is_never_shown(tmp_path: Path) -> None:
    hidden = "hunter2-hunter2"
    bad = faults(DATABASE_URL=f"postgresql://me:{hidden}@db:port/x", REDIS_URL=f"rediss:{hidden}", JWT_SECRET=hidden)
    assert set(bad) == {"DATABASE_URL", "REDIS_URL"}
    assert hidden not in str(bad)
    assert hidden not in str(faults(JWT_SECRET=hidden))

    values = {
        "DATABASE_URL": f"postgresql://me:{hidden}@db/x",
        "REDIS_URL": f"redis://:{hidden}@cache",
        "MEILISEARCH_API_KEY": hidden,
        "S3_ACCESS_KEY_ID": "key",
        "S3_SECRET_ACCESS_KEY": hidden,
        "AK_LOG_SIGNING_KEY": hidden,
        "ADMIN_PASSWORD": hidden,
        "JWT_SECRET": SECRET,
        "AK_INSTANCE_KEY": SECRET,
    }
    assert {setting.name for setting in SETTINGS if setting.secret} == set(values) - {"S3_ACCESS_KEY_ID"}
    settings = load(AK_DATA_DIR=str(tmp_path), **values)
    for text in (repr(settings), str(settings), plain(settings)):
        assert hidden not in text
        assert SECRET not in text


def test_a_jwt_secret_that_is_short_repeated_or_a_placeholder_is_refused() -> None:
    for weak in ("short", "ab" * 30, "change-me-in-production-please-now", "your-super-secret-jwt-signing-key-here!"):
        assert "at least 32 random bytes" in faults(JWT_SECRET=weak)["JWT_SECRET"]
        assert "at least 32 random bytes" in faults(AK_INSTANCE_KEY=weak)["AK_INSTANCE_KEY"]
    assert load(JWT_SECRET=SECRET).jwt_secret == SECRET


def test_without_a_jwt_secret_one_is_made_once_and_kept_for_us_alone(tmp_path: Path) -> None:
    first = load_settings({"AK_DATA_DIR": str(tmp_path / "data")})
    second = load_settings({"AK_DATA_DIR": str(tmp_path / "data")})
    other = load_settings({"AK_DATA_DIR": str(tmp_path / "other")})

    assert first.jwt_secret == second.jwt_secret != other.jwt_secret
    assert len(first.jwt_secret) >= 32
    assert first.instance_key == second.instance_key != first.jwt_secret
    kept = sorted((tmp_path / "data" / "secrets").iterdir())
    assert [(file.name, stat.S_IMODE(file.stat().st_mode)) for file in kept] == [("instance", 0o600), ("jwt", 0o600)]


def test_a_kept_secret_that_others_may_read_or_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    load_settings({"AK_DATA_DIR": str(tmp_path)})
    kept = tmp_path / "secrets" / "jwt"
    kept.chmod(0o644)
    with pytest.raises(SecretFileInvalid, match="read by other users"):
        load_settings({"AK_DATA_DIR": str(tmp_path)})
    kept.chmod(0o600)
    kept.write_text("abc\n")
    with pytest.raises(SecretFileInvalid, match="cut short"):
        load_settings({"AK_DATA_DIR": str(tmp_path)})


def test_production_wants_a_chosen_secret_and_hides_the_api_description(tmp_path: Path) -> None:
    assert list(faults(ENVIRONMENT="production", JWT_SECRET="", AK_INSTANCE_KEY="")) == [
        "JWT_SECRET",
        "AK_INSTANCE_KEY",
    ]

    settings = load(ENVIRONMENT="production", AK_DATA_DIR=str(tmp_path / "data"))
    assert settings.production
    assert not settings.swagger
    assert settings.cors_origins == ()
    assert not (tmp_path / "data").exists()


def test_settings_that_contradict_each_other_are_refused() -> None:
    assert list(faults(STORAGE_BACKEND="s3")) == ["S3_BUCKET"]
    assert list(faults(S3_ACCESS_KEY_ID="key")) == ["S3_SECRET_ACCESS_KEY"]
    assert list(faults(PASSWORD_MIN_LENGTH="40", PASSWORD_MAX_LENGTH="20")) == ["PASSWORD_MIN_LENGTH"]
    assert list(faults(DATABASE_MIN_CONNECTIONS="30")) == ["DATABASE_MIN_CONNECTIONS"]
    assert list(faults(METRICS_PORT="8080")) == ["METRICS_PORT"]


def test_a_file_of_variables_lies_beneath_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "registry.env"
    file.write_text(
        "# ours\n\nLOG_LEVEL=debug\nexport LOG_FORMAT = json\nSETUP_PASSWORD_HINT='ask \"Ana\" # 2'\nDEMO_MODE=true\n"
    )

    settings = load(AK_ENV_FILE=str(file), LOG_LEVEL="error", DEMO_MODE="")

    assert settings.log_level == "error"
    assert settings.log_format == "json"
    assert settings.setup_password_hint == 'ask "Ana" # 2'
    assert settings.demo_mode


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"LOG_LEVEL=info\nhunter2 hunter2\n"])
def test_a_file_of_variables_that_cannot_be_read_is_a_fault_that_does_not_quote_it(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "registry.env"
    if content is not None:
        file.write_bytes(content)

    found = faults(AK_ENV_FILE=str(file))

    assert list(found) == ["AK_ENV_FILE"]
    assert str(file) in found["AK_ENV_FILE"]
    assert "hunter2" not in found["AK_ENV_FILE"]


def test_an_unknown_variable_of_ours_is_warned_about_with_the_likely_name(caplog: pytest.LogCaptureFixture) -> None:
    variables = {"AK_DATADIR": "x", "AK_ZZZZZZZZ": "", "OTHER": "x", "AK_API_WORKERS": "2"}
    assert unknown_variables(variables) == [
        "AK_DATADIR is not a setting; did you mean AK_DATA_DIR?",
        "AK_ZZZZZZZZ is not a setting",
    ]
    load(AK_DATADIR="x")
    assert "did you mean AK_DATA_DIR?" in caplog.text


def test_the_printed_settings_name_every_variable_and_the_values_in_force(tmp_path: Path) -> None:
    text = plain(load(AK_DATA_DIR=str(tmp_path), ENVIRONMENT="production"))

    assert f"AK_DATA_DIR={tmp_path}\n" in text
    assert "ENVIRONMENT=production\n" in text
    assert "JWT_SECRET=(set, not shown)\n" in text
    assert all(f"  {setting.name}" in plain() for setting in SETTINGS)


def test_the_readme_has_the_table_that_the_data_makes() -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")

    assert text == with_table(text), "run `make settings`"


def test_a_document_keeps_what_stands_around_its_table() -> None:
    made = with_table(f"# Title\n\n{BEGIN}\nformer table\n{END}\nrest\n")

    assert made.startswith(f"# Title\n\n{BEGIN}\n\n**Running**")
    assert made.endswith(f"{END}\nrest\n")
    assert "former table" not in made
    assert "| `JWT_SECRET` |" in made
    with pytest.raises(ValueError, match="settings"):
        with_table("# Title\n")


def test_a_computed_default_uses_only_rows_above_its_own() -> None:
    seen: dict[str, Any] = {}
    for setting in SETTINGS:
        if isinstance(setting.default, Computed):
            seen[setting.field] = setting.default.value(seen)
        elif setting.default:
            seen[setting.field] = setting.parse.read(setting.default)
