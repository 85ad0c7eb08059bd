"""Ask every invariant of the ledger whether it holds, in one snapshot of a ledger that goes on working."""

from dataclasses import dataclass
from typing import NamedTuple

from nostro.store import invariants
from nostro.store.database import Database


class Finding(NamedTuple):
    """One invariant's answer; `offender` and `finding` are empty when it holds."""

    invariant: str
    holds: bool
    offender: str
    finding: str


@dataclass(frozen=True)
class Verification:
    findings: list[Finding]
    positions: int
    entries: int

    @property
    def holds(self) -> bool:
        return all(finding.holds for finding in self.findings)


async def verify(database: Database) -> Verification:
    """Every invariant in order; each names its first offender."""
    report = await invariants.check_all(database)
    findings = [
        Finding(name, offender is None, *(offender or ("", ""))) for name, offender in report.offenders.items()
    ]
    return Verification(findings, report.positions, report.entries)
