"""Charts of Kubernetes, for helm: the classic chart repository, and the API of ChartMuseum."""

from application.format import Format
from application.formats.helm.dialect import answer_error
from application.formats.helm.names import order_key
from application.formats.helm.publishing import deposit
from application.formats.helm.routes import ROUTES
from application.formats.helm.setup import SNIPPETS

FORMAT = Format(
    key="helm",
    title="Helm",
    prefix="helm",
    further_prefixes=("api/helm",),
    routes=ROUTES,
    error=answer_error,
    order=order_key,
    overwrite="never",
    deposit=deposit,
    setup=SNIPPETS,
)
