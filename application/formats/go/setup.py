"""What go must be told to use a repository."""

from __future__ import annotations

from application.setting_up import Snippet

SNIPPETS = (
    Snippet(
        "Install",
        "GOPROXY={url},direct GONOSUMDB='example.com/*' go get MODULE",
    ),
    Snippet(
        "Always install from it",
        "go env -w GOPROXY={url},direct",
    ),
    Snippet(
        "Publish",
        "git archive --prefix=MODULE@v1.0.0/ -o module.zip v1.0.0\n"
        "curl -u __token__:TOKEN -T module.zip {url}/MODULE/@v/v1.0.0.zip",
    ),
)
