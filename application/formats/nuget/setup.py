"""What dotnet must be told to use a repository."""

from __future__ import annotations

from application.setting_up import Snippet

SNIPPETS = (
    Snippet(
        "Name the source",
        "dotnet nuget add source {url}/v3/index.json -n {key}",
    ),
    Snippet(
        "Install",
        "dotnet add package PACKAGE -s {key}",
    ),
    Snippet(
        "Publish",
        "dotnet nuget push PACKAGE.1.0.0.nupkg -s {url}/v3/index.json -k TOKEN",
    ),
)
