"""Foreign files into the ledger and the catalogue, by a mapping file and without code for each data set."""

from features.importing.files import planned_bytes
from features.importing.mapping import ImportMapping
from features.importing.reader import load_mapping
from features.importing.report import ImportReport, Tally
from features.importing.run import run_import

__all__ = ["ImportMapping", "ImportReport", "Tally", "load_mapping", "planned_bytes", "run_import"]
