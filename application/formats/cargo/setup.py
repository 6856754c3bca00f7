"""What cargo must be told to use a repository."""

from __future__ import annotations

from application.setting_up import Snippet

SNIPPETS = (
    Snippet(
        "Name the registry",
        '[registries.{key}]\nindex = "sparse+{url}/"\n\n[registry]\nglobal-credential-providers = ["cargo:token"]\n',
        ".cargo/config.toml",
    ),
    Snippet(
        "Install",
        "cargo add CRATE --registry {key}",
    ),
    Snippet(
        "Publish",
        "cargo login --registry {key}\ncargo publish --registry {key}",
    ),
)
