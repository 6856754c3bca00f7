"""Container images and everything else that is kept as OCI artifacts: for docker, podman, helm, oras and their kin."""

from application.format import Format
from application.formats.oci.dialect import PREFIX, answer_error
from application.formats.oci.mounting import KEY
from application.formats.oci.names import order_key
from application.formats.oci.publishing import deposit
from application.formats.oci.routes import ROUTES, SERVER
from application.formats.oci.setup import SNIPPETS

FORMAT = Format(
    key=KEY,
    title="OCI",
    aliases=("docker", "podman", "buildx", "oras", "wasmoci", "helmoci"),
    prefix=PREFIX,
    routes=ROUTES,
    server_routes=SERVER,
    error=answer_error,
    order=order_key,
    deposit=deposit,
    setup=SNIPPETS,
    promotes=False,
)
