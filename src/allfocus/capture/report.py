"""The report on each pair: a table whose decisions a person can overrule, and a page with pictures."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from allfocus.atomic_file import write_text
from allfocus.capture.dataset import ACCEPT, REJECT, verdict
from allfocus.capture.gate import REASONS, GateLimits
from allfocus.errors import DataError

TABLE, PAGE = "report.csv", "report.html"
MEASURES = ("clipped", "noise", "flicker", "sharper", "shift_px", "many_px", "moving")
COLUMNS = ("name", "decision", "verdict", "reasons", "detail", "split", "source", "target", *MEASURES)
EXTRA = ("scale", "degrees", "mirrored", "features")
MEANING = {
    "clipped": "share at the top of the range",
    "noise": "noise of the target, of white",
    "flicker": "uneven light",
    "sharper": "fine detail, target to source",
    "shift_px": "residual shift, half the windows, px",
    "many_px": "residual shift, three quarters of them, px",
    "moving": "largest difference, share of the photo",
    "scale": "scale of the target",
    "degrees": "turn of the target, degrees",
    "mirrored": "target was a mirror image",
    "features": "features that agreed",
}
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #222; }
article { border-top: 1px solid #ccc; padding: 1rem 0; }
h2 { font-size: 1.05rem; margin: 0 0 .4rem; } .accept { color: #176f2c; } .reject { color: #a11; }
tr.reject { font-weight: 600; }
.row { display: flex; gap: .6rem; flex-wrap: wrap; } figure { margin: 0; } figcaption { font-size: .8rem; color: #555; }
img { width: 22rem; max-width: 100%; display: block; } .blink { position: relative; width: 22rem; max-width: 100%; }
.blink img + img { position: absolute; inset: 0; animation: blink 1.2s steps(1) infinite; }
@keyframes blink { 50% { opacity: 0; } }
table { border-collapse: collapse; font-size: .85rem; margin-top: .4rem; }
td, th { padding: .1rem .8rem .1rem 0; text-align: left; }
"""


def read_decisions(output: Path) -> dict[str, str]:
    """What a person wrote into the column `decision` of `report.csv`: "accept" or "reject" by name.

    Raises:
        DataError: another word, or a table without these columns.
    """
    path = output / TABLE
    if not path.is_file():
        return {}
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    found = {}
    for row in rows:
        if row.get("name") is None or row.get("decision") is None:
            raise DataError(f"{path} without name or decision", "the columns it was written with", "remove the file")
        word = row["decision"].strip().lower()
        if word not in ("", ACCEPT, REJECT):
            raise DataError(f"decision {word!r} for {row['name']} in {path}", "accept, reject or nothing", "correct it")
        if word:
            found[row["name"]] = word
    return found


def write_report(
    records: Sequence[Mapping[str, Any]],
    decisions: Mapping[str, str],
    splits: Mapping[str, str],
    output: Path,
    limits: GateLimits,
) -> None:
    """Write `report.csv`, which keeps a person's `decisions` by name, and `report.html`."""
    text = io.StringIO()
    columns: tuple[str, ...] = COLUMNS
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for record in records:
        measured = {name: _digits(record["measures"][name]) for name in MEASURES}
        row: Any = {
            "name": record["name"],
            "decision": decisions.get(record["name"], ""),
            "verdict": verdict(record, decisions),
            "reasons": "; ".join(record["reasons"]),
            "detail": record["detail"],
            "split": splits.get(record["name"], ""),
            "source": record["source"] or "",
            "target": record["target"] or "",
            **measured,
        }
        writer.writerow(row)
    write_text(output / TABLE, text.getvalue())
    write_text(output / PAGE, _page(records, decisions, splits, limits))


def _page(
    records: Sequence[Mapping[str, Any]], decisions: Mapping[str, str], splits: Mapping[str, str], limits: GateLimits
) -> str:
    counted = [verdict(record, decisions) for record in records]
    reasons = [record["reasons"][0] for record in records if record["reasons"]]
    lines = [f"<li>{html.escape(reason)}: {reasons.count(reason)}</li>" for reason in REASONS if reason in reasons]
    articles = "\n".join(_article(record, decisions, splits, limits) for record in records)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Captured pairs</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>\n'
        f"<h1>{counted.count(ACCEPT)} of {len(records)} pairs accepted</h1>\n"
        + (f"<p>First reason against the others:</p><ul>{''.join(lines)}</ul>\n" if lines else "")
        + "<p>To overrule, write <code>accept</code> or <code>reject</code> into the column <code>decision</code> of "
        f"<code>{TABLE}</code> and run the same command again.</p>\n{articles}\n</body></html>\n"
    )


def _article(
    record: Mapping[str, Any], decisions: Mapping[str, str], splits: Mapping[str, str], limits: GateLimits
) -> str:
    name, judged = str(record["name"]), verdict(record, decisions)
    said = "; ".join(f"{reason} ({REASONS.get(reason, '')})" for reason in record["reasons"])
    by = " by a person" if decisions.get(name) == judged else ""
    explained = html.escape(". ".join(part for part in (said, record["detail"]) if part))
    word = f'<span class="{judged}">{judged}ed{by}</span>'
    head = f"<h2>{html.escape(name)}: {word} {html.escape(splits.get(name, ''))}</h2>"
    return f"<article>{head}<p>{explained}</p>{_pictures(record)}{_table(record, limits)}</article>"


def _pictures(record: Mapping[str, Any]) -> str:
    if not record["pictures"]:
        return ""
    sharp, soft = (f"pairs/{html.escape(str(record['name']), quote=True)}.{role}.jpg" for role in ("target", "source"))
    return (
        '<div class="row">'
        f'<figure><img loading="lazy" src="{soft}" alt="source"><figcaption>source</figcaption></figure>'
        f'<figure><img loading="lazy" src="{sharp}" alt="target"><figcaption>target, laid on it</figcaption></figure>'
        f'<figure><div class="blink"><img loading="lazy" src="{soft}" alt="">'
        f'<img loading="lazy" src="{sharp}" alt=""></div>'
        "<figcaption>in turn: nothing but the sharpness should move</figcaption></figure></div>"
    )


def _table(record: Mapping[str, Any], limits: GateLimits) -> str:
    bounds = asdict(limits)
    rows = []
    for name in MEASURES:
        value, least = record["measures"][name], name == "sharper"
        beyond = value is not None and (value < bounds[name] if least else value > bounds[name])
        rows.append((name, value, f"{'at least' if least else 'at most'} {bounds[name]}", beyond))
    rows += [(name, record[name], "", False) for name in EXTRA]
    lines = [
        f'<tr class="{REJECT if beyond else ""}"><td>{MEANING[name]}</td><td>{_digits(value)}</td><td>{bound}</td></tr>'
        for name, value, bound, beyond in rows
        if value is not None
    ]
    return f"<table>{''.join(lines)}</table>" if lines else ""


def _digits(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
