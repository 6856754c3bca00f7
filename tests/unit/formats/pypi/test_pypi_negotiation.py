import pytest

from application.formats.pypi.negotiation import HTML, HTML_V1, JSON_V1, choose


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        (None, HTML),
        ("", HTML),
        ("*/*", HTML),
        ("text/html", HTML),
        ("text/*", HTML),
        ("TEXT/HTML; charset=utf-8", HTML),
        (f"{JSON_V1}, {HTML_V1};q=0.1, text/html;q=0.01", JSON_V1),
        (f"{HTML_V1};q=0.2, {JSON_V1};q=0.1", HTML_V1),
        (f"text/html, {HTML_V1}, {JSON_V1}", JSON_V1),
        (f"{JSON_V1};q=0, */*", HTML),
        ("application/vnd.pypi.simple.latest+json", JSON_V1),
        ("application/vnd.pypi.simple.latest+html", HTML_V1),
        ("application/*", HTML_V1),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
        ("application/json, */*;q=0.1", HTML),
        ("application/json", None),
        ("application/vnd.pypi.simple.v2+json", None),
        ("text/html;q=0", None),
        ("*/*;q=0", None),
        ("*/*;q=0, text/html", HTML),
        ("text/html;q=2", None),
        ("text/html;q=nonsense, */*;q=0.1", HTML),
        (";;;,,,q=", None),
        (",".join(["a/b"] * 10_000), None),
    ],
)
def test_the_accept_header_decides(accept: str | None, answer: str | None) -> None:
    assert choose(accept) == answer


def test_the_format_parameter_goes_before_the_header() -> None:
    assert choose("text/html", JSON_V1) == JSON_V1
    assert choose(None, "text/html") == HTML
    assert choose("*/*", "application/pdf") is None
