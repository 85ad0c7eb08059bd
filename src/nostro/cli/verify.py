"""`nostro verify`: ask the whole ledger whether every invariant holds."""

import typer

from nostro.cli.session import AsJson, DataDir, show, with_ledger
from nostro.ledger.service import Ledger
from nostro.ledger.verify import Verification
from nostro.settings import Settings


def verify(context: typer.Context, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Check every invariant; exits with 1 and names the first offender when one does not hold.

    Example: nostro verify --json
    """

    async def work(ledger: Ledger, _: Settings) -> Verification:
        return await ledger.verify()

    report = with_ledger(context, data_dir, work)
    document = {
        "holds": report.holds,
        "positions": report.positions,
        "entries": report.entries,
        "invariants": [finding._asdict() for finding in report.findings],
    }
    show(document, as_json, _text(report))
    if not report.holds:
        raise typer.Exit(1)


def _text(report: Verification) -> str:
    lines = []
    for finding in report.findings:
        said = "holds" if finding.holds else f"BROKEN at {finding.offender}: {finding.finding}"
        lines.append(f"{finding.invariant:<36} {said}")
    counted = f"{report.positions} journal positions, {report.entries} entries"
    lines.append(f"The ledger {'is sound' if report.holds else 'is NOT sound'}: {counted}.")
    return "\n".join(lines)
