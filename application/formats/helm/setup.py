"""What helm must be told to use a repository."""

from __future__ import annotations

from application.setting_up import Snippet

SNIPPETS = (
    Snippet(
        "Install",
        "helm repo add {key} {url}\nhelm install RELEASE {key}/CHART",
    ),
    Snippet(
        "Publish",
        "helm package CHART\ncurl -u __token__:TOKEN --data-binary @CHART-1.0.0.tgz {url}/api/charts",
    ),
)
