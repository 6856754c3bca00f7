"""What container tools must be told to use a repository."""

from __future__ import annotations

from application.setting_up import Snippet

SNIPPETS = (
    Snippet(
        "Sign in",
        "docker login {host}",
    ),
    Snippet(
        "Push",
        "docker tag IMAGE {host}/{key}/IMAGE:TAG\ndocker push {host}/{key}/IMAGE:TAG",
    ),
    Snippet(
        "Pull",
        "docker pull {host}/{key}/IMAGE:TAG",
    ),
    Snippet(
        "Push a Helm chart",
        "helm push CHART-1.0.0.tgz oci://{host}/{key}",
    ),
)
