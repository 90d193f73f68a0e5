"""The frame that all pages share: head, colours by day and by night, tables, print."""

from __future__ import annotations

from typing import Final

from paycli.pages.markup import Markup, element, joined

# Colours that people with any kind of sight tell apart (after Okabe and Ito), by day and by night.
_STYLE: Final = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --panel: #f5f6f8; --ink: #1b1f24; --soft: #59636e; --line: #d5dae0;
  --good: #0b7a53; --bad: #c0392b; --odd: #8a5a00; --idle: #7d8793; --accent: #0969b8;
  --second: #b35900; --mark: #ffe2dd;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --panel: #1d2126; --ink: #e8ebef; --soft: #a3adb8; --line: #3a424b;
    --good: #4cc38a; --bad: #ff7b6b; --odd: #e3b341; --idle: #8b96a3; --accent: #62b0f5;
    --second: #f0a35e; --mark: #532722;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .75rem; }
p { margin: .5rem 0; }
.soft, .note { color: var(--soft); }
.note, .small { font-size: .875rem; }
code, pre, .mono { font-family: ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; font-size: .85em; }
pre {
  margin: .35rem 0; padding: .6rem .75rem; background: var(--panel); border: 1px solid var(--line);
  border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere;
}
dl.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
dl.facts > div { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .8rem; }
dl.facts dt { color: var(--soft); font-size: .8rem; }
dl.facts dd { margin: 0; font-size: 1.15rem; font-weight: 600; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .45rem .6rem; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-size: .8rem; font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { display: block; width: 100%; overflow: visible; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
a { color: var(--accent); }
@media (max-width: 40rem) {
  body { padding-top: 1rem; }
  th, td { padding: .4rem .35rem; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #ffffff; --panel: #ffffff; --ink: #000000; --soft: #444444; --line: #bbbbbb;
    --good: #0b7a53; --bad: #b02a1c; --odd: #7a4f00; --idle: #666666; --accent: #00508f;
    --second: #8f4700; --mark: #ffe2dd;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  tr, figure, dl.facts > div { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""


def page(title: str, style: str, *body: str) -> str:
    """A whole document; `style` is what this page has besides the common style."""
    # What a mistake of ours let through could still do nothing.
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    head = joined(
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content="paycli"),
        element("title", title),
        element("style", Markup(_STYLE + style)),
    )
    return "<!doctype html>\n" + element(
        "html", element("head", head), element("body", element("main", *body)), lang="en"
    )


def facts(pairs: dict[str, str]) -> Markup:
    """The few numbers that matter, each with its name."""
    told = [
        element("div", element("dt", name), element("dd", value)) for name, value in pairs.items()
    ]
    return element("dl", *told, class_="facts")
