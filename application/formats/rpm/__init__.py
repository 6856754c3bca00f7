"""RPM repositories, for dnf, yum, microdnf and zypper."""

from application.format import Format
from application.formats.rpm.dialect import answer_error
from application.formats.rpm.evr import order_key
from application.formats.rpm.publishing import deposit
from application.formats.rpm.routes import ROUTES
from application.formats.rpm.setup import SNIPPETS

FORMAT = Format(
    key="rpm",
    title="RPM",
    prefix="rpm",
    routes=ROUTES,
    error=answer_error,
    order=order_key,
    deposit=deposit,
    signs="openpgp",
    setup=SNIPPETS,
)
