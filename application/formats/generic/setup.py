"""What anything that speaks HTTP must be told to use a repository."""

from __future__ import annotations

from application.setting_up import Snippet

SNIPPETS = (
    Snippet(
        "Upload",
        "curl -u __token__:TOKEN -T FILE {url}/FOLDER/FILE",
    ),
    Snippet(
        "Download",
        "curl -O {url}/FOLDER/FILE\nwget -r -np -nH {url}/FOLDER/",
    ),
    Snippet(
        "Keep a folder the same",
        "rclone sync FOLDER :webdav: --webdav-url {url}/ --webdav-user __token__ --webdav-pass TOKEN",
    ),
)
