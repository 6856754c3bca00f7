"""What apt must be told to use a repository."""

from __future__ import annotations

from application.setting_up import Snippet

SNIPPETS = (
    Snippet(
        "Trust its key",
        "curl -o /etc/apt/keyrings/{key}.asc {url}/gpg-key.asc",
    ),
    Snippet(
        "Use it",
        "Types: deb\nURIs: {url}/\nSuites: bookworm\nComponents: main\nSigned-By: /etc/apt/keyrings/{key}.asc\n",
        "/etc/apt/sources.list.d/{key}.sources",
    ),
    Snippet(
        "Install",
        "apt update\napt install PACKAGE",
    ),
    Snippet(
        "Publish",
        'F=PACKAGE_1.0-1_amd64.deb\ncurl -u __token__:TOKEN -T $F "{url}/pool/main/p/PACKAGE/$F?distribution=bookworm"',
    ),
)
