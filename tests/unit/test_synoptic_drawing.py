"""A drawing may come from anybody: what is written into a page has nothing of it but shapes and texts."""

from __future__ import annotations

from html.parser import HTMLParser
from time import process_time

import pytest

from countingroom.core.synoptics.allowed import ELEMENTS, XLINK
from countingroom.core.synoptics.bindings import bind
from countingroom.core.synoptics.drawing import read_drawing
from countingroom.core.synoptics.elements import Drawing, Element
from countingroom.core.synoptics.writing import write
from countingroom.core.yaml.located import Mistaken

OWN = {"class", "aria-label", "role", "xmlns", "data-sy", "data-sy-t", "data-sy-p"}
"""Attributes that the writing adds."""
DATA = {"href", "id", "viewbox"}


def svg(inside: str, attributes: str = 'viewBox="0 0 100 50"') -> bytes:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="{XLINK}" {attributes}>\n'
    return f"{head}{inside}\n</svg>".encode()


def read(inside: str) -> Drawing:
    return read_drawing(svg(inside), "d.svg")


def shown(drawing: Drawing, devices: tuple[str, ...] = ("chiller",)) -> str:
    bindings, _ = bind(drawing, {}, devices)
    return write(drawing, bindings, prefix="p", label="A drawing", address=lambda target: f"/devices/{target.name}")


class Tags(HTMLParser):
    """What a browser makes of a text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def assert_harmless(text: str) -> None:
    """No element, attribute or value that could load or run anything."""
    elements = {name.lower() for name in ELEMENTS} | {"a"}
    for tag, attributes in Tags(text).found:
        assert tag in elements, tag
        for name, value in attributes.items():
            assert not name.startswith("on") and name not in ("style", "src"), name
            told = (value or "").lower().replace(" ", "")
            if name == "href":
                assert told.startswith(("#p-", "/devices/", "data:image/png;base64,")), value
            elif name not in ("aria-label", "id"):
                assert "javascript:" not in told and "//" not in told.replace("http://www.w3.org/2000/svg", ""), value
                assert "url(" not in told or "url(#p-" in told, value


HOSTILE = [
    "<script>alert(1)</script>",
    '<script xlink:href="//evil/x.js"/>',
    '<rect width="1" height="1" onclick="alert(1)" onLoad="x"/>',
    "<foreignObject><p xmlns='http://www.w3.org/1999/xhtml'><img src='x' onerror='alert(1)'/></p></foreignObject>",
    '<a href="javascript:alert(1)"><rect width="1" height="1"/></a>',
    '<a xlink:href="jav&#x09;ascript:alert(1)"><text>x</text></a>',
    '<use href="//evil/x.svg#a"/>',
    '<use xlink:href="data:image/svg+xml;base64,PHN2Zz4="/>',
    '<image href="https://evil/x.png"/>',
    '<image href="data:image/svg+xml,&lt;svg onload=alert(1)&gt;"/>',
    '<rect fill="url(https://evil/x)"/>',
    '<rect style="fill:url(&quot;javascript:alert(1)&quot;)"/>',
    '<rect style="background:url(//evil)"/>',
    '<rect style="fill:u\\72l(//evil)"/>',
    "<style>@import url(//evil); * { background: url(//evil) }</style>",
    "<style>.a { fill: url(//evil) } rect { fill: expression(alert(1)) }</style><rect class='a'/>",
    '<animate attributeName="href" values="javascript:alert(1)"/>',
    '<set attributeName="onmouseover" to="alert(1)"/>',
    '<rect id="x"><animateTransform attributeName="transform"/></rect>',
    '<iframe src="//evil"/>',
    '<html:script xmlns:html="http://www.w3.org/1999/xhtml">alert(1)</html:script>',
    "<title><img src='x' onerror='alert(1)'/></title>",
    "<desc>&lt;script>alert(1)&lt;/script></desc>",
    "<text>&lt;/svg>&lt;script>alert(1)&lt;/script></text>",
    "<text><![CDATA[</text></svg><script>alert(1)</script>]]></text>",
    '<text id="chiller.x&quot; onload=&quot;alert(1)">x</text>',
    "<text id=\"device:x' onload='alert(1)\">x</text>",
    '<rect id="data"/><rect id="main"/>',
    '<filter id="f"><feImage href="//evil"/></filter><rect filter="url(#f)"/>',
    '<handler type="application/ecmascript">alert(1)</handler>',
    '<rect fill="red;} body{display:none"/>',
    '<path d="M0 0 url(//evil)"/>',
    '<rect transform="rotate(1) url(//evil)"/>',
    '<text font-family="x&quot;onload=1">x</text>',
    '<linearGradient id="g" href="//evil#g"/><rect fill="url(#g)"/>',
    '<?xml-stylesheet href="//evil.css"?><rect/>',
    '<rect fill="var(--x, url(//evil))"/>',
    '<rect fill="image-set(&quot;//evil&quot; 1x)"/>',
    "<switch><foreignObject/><text>x</text></switch>",
    '<svg onload="alert(1)"><rect/></svg>',
    '<rect xmlns="http://www.w3.org/1999/xhtml" onclick="x"/>',
    '<rect xml:base="javascript:" class="banner" data-page="x" aria-label="x"/>',
]


@pytest.mark.parametrize("inside", HOSTILE)
def test_nothing_that_loads_or_runs_reaches_the_page(inside: str) -> None:
    drawing = read(inside)
    assert_harmless(shown(drawing))


@pytest.mark.parametrize("inside", [one for one in HOSTILE if "evil" in one or ("alert" in one and "title" not in one)])
def test_what_is_removed_is_told_with_its_line(inside: str) -> None:
    if "<desc>" in inside or "<text>" in inside:
        return  # text is text
    removed = read(inside).removed
    assert removed
    assert {one.line for one in removed} <= {1, 2, 3}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "not an SVG"),
        (b"<svg", "not an SVG"),
        (b"<html/>", "the file begins with <html>"),
        (b"<svg viewBox='0 0 1 1'/>", "an SVG begins with"),
        (svg("", ""), "no size"),
        (svg("", 'viewBox="0 0 0 5"'), "no size"),
        (svg("<rect/>" * 20_000), "more than 20000 elements"),
        (svg("<g>" * 70 + "</g>" * 70), "more than 64 deep"),
        (svg("<text>" + "x" * 2001 + "</text>"), "more than 2000 characters"),
        (b"<svg>" + b" " * 2_200_000, "at most 2097152 are read"),
        (
            b'<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + svg("<text>&b;</text>"),
            "declares entities",
        ),
        (b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + svg("<text>&x;</text>"), "declares entities"),
        (svg("<text>&nothing;</text>"), "not an SVG"),
        (b'<?xml version="1.0" encoding="nonsense"?><svg/>', "not an SVG"),
    ],
)
def test_what_is_no_drawing_or_too_large_is_refused_with_its_line(data: bytes, told: str) -> None:
    with pytest.raises(Mistaken, match=told) as error:
        read_drawing(data, "d.svg")
    assert "d.svg" in str(error.value)


def test_elements_that_use_others_cannot_multiply() -> None:
    levels = "".join(f'<g id="g{n}">{f"""<use href="#g{n - 1}"/>""" * 10}</g>' for n in range(1, 9))
    with pytest.raises(Mistaken, match="draw more than 20000"):
        read(f'<g id="g0"><rect/></g>{levels}')


def test_circles_of_references_are_cut_and_long_chains_refused() -> None:
    drawing = read('<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>')
    assert [one.why for one in drawing.removed] == ["#a contains this element"]
    chain = "".join(f'<use id="u{n}" href="#u{n + 1}"/>' for n in range(2000))
    with pytest.raises(Mistaken, match="in a chain"):
        read(f'{chain}<rect id="u2000"/>')


def test_long_values_are_read_in_time() -> None:
    """Each pattern is linear: a value of many digits or spaces took seconds with a careless one."""
    for value in ("1" * 2000 + "!", " " * 2000 + "!", "rotate(1)" * 220 + "!", "1 " * 1000 + "!", "a" * 2000 + "("):
        read("".join(f'<rect x="{value}" transform="{value}" fill="{value}" opacity="{value}"/>' for _ in range(40)))
    read("<style>" + ".a" * 30_000 + "</style>" + "<style>" + "/*" * 30_000 + "</style>")


def test_what_drawing_programs_write_is_kept() -> None:
    """Inkscape writes styles and its own data, Illustrator classes and its own document type."""
    data = (
        '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
        '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">\n'
        '<svg width="210mm" height="297mm" xmlns="http://www.w3.org/2000/svg"'
        ' xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape"'
        ' xmlns:sodipodi="http://sodipodi.sourceforge.net/DTD/sodipodi-0.dtd">\n'
        '<sodipodi:namedview inkscape:zoom="1"><inkscape:grid/></sodipodi:namedview>\n'
        "<style>.cls-1 { fill: #123456; stroke: none }</style>\n"
        '<g inkscape:groupmode="layer" inkscape:label="Layer 1">\n'
        '<text xml:space="preserve" style="font-size:4.2px;fill:#000000;-inkscape-font-specification:Sans" x="1" y="2"'
        ' id="chiller.bath"><tspan sodipodi:role="line" x="1" y="2">00.0</tspan><tspan x="9">old</tspan></text>\n'
        '<rect class="cls-1" width="2" height="3" style="fill-opacity:0.5"/></g></svg>'
    )
    drawing = read_drawing(data.encode(), "d.svg")
    assert drawing.box == (0, 0, 210, 297)
    assert drawing.removed == ()
    assert drawing.editor_data > 3
    text = shown(drawing)
    assert 'font-size="4.2px"' in text
    assert 'fill-opacity="0.5"' in text
    assert "light-dark(#123456," in text
    assert '<tspan x="1" y="2" data-sy-t="0">–</tspan></text></a>' in text
    assert "old" not in text


def test_an_id_of_the_drawing_is_never_one_of_the_page() -> None:
    text = shown(read('<defs><path id="main" d="M0 0"/></defs><use href="#main" id="data"/><rect fill="url(#main)"/>'))
    ids = [attributes["id"] for _, attributes in Tags(text).found if "id" in attributes]
    assert ids == ["p-0", "p-1"]
    assert 'href="#p-0"' in text
    assert 'fill="url(#p-0)"' in text


def test_colours_change_on_dark_pages_and_their_hue_stays() -> None:
    text = shown(read('<rect fill="#ffffff" stroke="#000"/><rect fill="none" stroke="#3f7396"/>'))
    assert 'fill="light-dark(#ffffff,#1c1c1c)"' in text
    assert 'stroke="light-dark(#000,#ededed)"' in text
    assert 'fill="none"' in text
    # White in a mask means that something is seen, on dark pages too.
    masked = shown(read('<mask id="m"><g><rect fill="#fff"/></g></mask><rect mask="url(#m)" fill="#fff"/>'))
    assert masked.index('<rect fill="#fff">') < masked.index('fill="light-dark(#fff,')
    assert write(read('<rect fill="#fff"/>'), [], prefix="p", label="", address=lambda _: "/", adapt=False).endswith(
        '<rect fill="#fff"></rect></svg>'
    )


def test_the_time_of_a_style_does_not_grow_with_selectors_times_properties() -> None:
    many = ",".join(f".a{number}" for number in range(4000)) + "{" + "fill:#fff;" * 3000 + "}"
    names = "".join(f"p{chr(97 + one // 26 % 26)}{chr(97 + one % 26)}{'x' * (one // 676)}:1;" for one in range(4000))
    rects = "<rect class='b b b b b b b b b b b b b b b b b b b a7'/>" * 1500
    begin = process_time()
    drawing = read_drawing(
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'><style>{many}</style><style>.b{{{names}}}</style>"
        f"{rects}</svg>".encode(),
        "x.svg",
    )
    assert process_time() - begin < 3.0  # it was 16 s
    assert [one.attributes for one in drawing.root.content if isinstance(one, Element)] == [{"fill": "#fff"}] * 1500


def test_a_view_box_that_no_browser_understands_is_a_mistake() -> None:
    with pytest.raises(Mistaken, match="no size"):
        read_drawing(b"<svg xmlns='http://www.w3.org/2000/svg' viewBox='1e999 0 9 9'/>", "x.svg")
