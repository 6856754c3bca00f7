"""Packages of .NET, of Chocolatey and of PowerShell: one protocol in two generations."""

from application.format import Format
from application.formats.nuget.dialect import answer_error
from application.formats.nuget.names import order_key
from application.formats.nuget.publishing import ALGORITHMS, deposit
from application.formats.nuget.routes import ROUTES
from application.formats.nuget.setup import SNIPPETS

FORMAT = Format(
    key="nuget",
    title="NuGet",
    prefix="nuget",
    aliases=("chocolatey", "powershell"),
    routes=ROUTES,
    error=answer_error,
    order=order_key,
    overwrite="burn",
    digests=ALGORITHMS,
    deposit=deposit,
    setup=SNIPPETS,
)
