"""What npm must be told to use a repository."""

from __future__ import annotations

from application.setting_up import Snippet

SNIPPETS = (
    Snippet(
        "Install",
        "npm install --registry {url}/ PACKAGE",
    ),
    Snippet(
        "Use it in a project",
        "registry={url}/\n//{host}/npm/{key}/:_authToken=TOKEN\n",
        ".npmrc",
    ),
    Snippet(
        "Publish",
        "npm config set //{host}/npm/{key}/:_authToken TOKEN\nnpm publish --registry {url}/",
    ),
    Snippet(
        "Install what there was on a day",
        "npm install --registry {url}@2026-03-03/ PACKAGE",
    ),
)
