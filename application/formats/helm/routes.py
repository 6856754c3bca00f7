"""The addresses of a chart repository, and the API of ChartMuseum below it.

The plugin that pushes puts `/api` before the whole path of a repository, so the API is at the root as well.
Source: https://chartmuseum.com/docs/#server-info, https://helm.sh/docs/topics/chart_repository/
"""

from __future__ import annotations

from application.formats.helm import reading, remote, virtual, writing
from application.wire import Body, Route

_UPLOAD = Body(kind="either")

_FILES = (
    Route(
        method="GET",
        pattern="/index.yaml",
        needs="read",
        handler=reading.get_index,
        document=reading.index_key,
        remote=remote.get_index,
        virtual=virtual.get_index,
    ),
    Route(
        method="GET",
        pattern="/charts/{name}",
        needs="read",
        handler=reading.get_file,
        document=reading.file_key,
        remote=remote.get_file_or_versions,
        virtual=virtual.get_file,
    ),
    Route(method="GET", pattern="/artifacthub-repo.yml", needs="read", handler=reading.get_hub_file),
    *(
        Route(method="GET", pattern=pattern, needs="read", handler=handler, remote=handler)
        for pattern, handler in (("/info", reading.get_info), ("/health", reading.get_health))
    ),
)


def _api(root: str) -> tuple[Route, ...]:
    chart, version = f"{root}/charts/{{name}}", f"{root}/charts/{{name}}/{{version}}"
    return (
        Route(
            method="GET",
            pattern=f"{root}/charts",
            needs="read",
            handler=reading.list_charts,
            remote=remote.list_charts,
            virtual=virtual.list_charts,
        ),
        Route(
            method="GET",
            pattern=chart,
            needs="read",
            handler=reading.get_versions,
            remote=remote.get_versions,
            virtual=virtual.get_versions,
        ),
        Route(
            method="GET",
            pattern=version,
            needs="read",
            handler=reading.get_version,
            remote=remote.get_version,
            virtual=virtual.get_version,
        ),
        Route(method="GET", pattern=f"{version}/templates", needs="read", handler=reading.get_templates),
        Route(method="GET", pattern=f"{version}/values", needs="read", handler=reading.get_values),
        Route(method="POST", pattern=f"{root}/charts", needs="write", handler=writing.post_chart, body=_UPLOAD),
        Route(method="POST", pattern=f"{root}/prov", needs="write", handler=writing.post_provenance, body=_UPLOAD),
        Route(method="DELETE", pattern=version, needs="delete", handler=writing.delete_version),
    )


ROUTES = (*_FILES, *_api("/api"), *_api(""))
