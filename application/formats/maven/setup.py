"""What Maven and Gradle must be told to use a repository."""

from __future__ import annotations

from application.setting_up import Snippet

SNIPPETS = (
    Snippet(
        "Use it in a project",
        "<repositories>\n  <repository>\n    <id>{key}</id>\n    <url>{url}/</url>\n  </repository>\n</repositories>\n",
        "pom.xml",
    ),
    Snippet(
        "Use it in Gradle",
        'repositories {\n    maven { url = uri("{url}/") }\n}\n',
        "build.gradle.kts",
    ),
    Snippet(
        "Say who you are",
        "<servers>\n"
        "  <server>\n"
        "    <id>{key}</id>\n"
        "    <username>__token__</username>\n"
        "    <password>TOKEN</password>\n"
        "  </server>\n"
        "</servers>\n",
        "~/.m2/settings.xml",
    ),
    Snippet(
        "Publish",
        "mvn deploy -DaltDeploymentRepository={key}::default::{url}/",
    ),
)
