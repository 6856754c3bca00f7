"""What dnf must be told to use a repository."""

from __future__ import annotations

from application.setting_up import Snippet

SNIPPETS = (
    Snippet(
        "Use it",
        "[{key}]\n"
        "name={key}\n"
        "baseurl={url}/\n"
        "enabled=1\n"
        "repo_gpgcheck=1\n"
        "gpgcheck=0\n"
        "gpgkey={url}/repodata/repomd.xml.key\n",
        "/etc/yum.repos.d/{key}.repo",
    ),
    Snippet(
        "Install",
        "dnf install PACKAGE",
    ),
    Snippet(
        "Publish",
        "curl -u __token__:TOKEN -T PACKAGE-1.0-1.noarch.rpm {url}/packages/",
    ),
)
