"""What Python must be told to use a repository."""

from __future__ import annotations

from application.setting_up import Snippet

SNIPPETS = (
    Snippet(
        "Install",
        "pip install --index-url {url}/simple/ PACKAGE\nuv pip install --index-url {url}/simple/ PACKAGE",
    ),
    Snippet(
        "Always install from it",
        "[global]\nindex-url = {url}/simple/\n",
        "~/.config/pip/pip.conf",
    ),
    Snippet(
        "Publish",
        "twine upload --repository-url {url}/ -u __token__ -p TOKEN dist/*",
    ),
    Snippet(
        "Install what there was on a day",
        "pip install --index-url {url}@2026-03-03/simple/ PACKAGE",
    ),
)
