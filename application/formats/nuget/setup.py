"""What dotnet, Chocolatey and PowerShell must be told to use a repository."""

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
    Snippet(
        "Chocolatey",
        "choco install PACKAGE --source {url}/api/v2/\n"
        "choco push PACKAGE.1.0.0.nupkg --source {url}/api/v2/ --api-key TOKEN",
    ),
    Snippet(
        "PowerShell",
        "Register-PSRepository -Name {key} -SourceLocation {url}/api/v2 -PublishLocation {url}/api/v2/package\n"
        "Install-Module MODULE -Repository {key}",
    ),
)
