"""Sample-ratio check: are the groups as large as designed? If not, units were lost, and nothing else counts."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import chi2

from experiments.formulas import formula

#: Below this p-value the experiment is not read further: with one false alarm in a thousand healthy experiments.
ALARM = 0.001


@dataclass(frozen=True, slots=True)
class RatioCheck:
    """Observed sizes against the design. `p_value`: chance of sizes this far off when the assignment is right."""

    treatment_units: int
    control_units: int
    control_share: float
    p_value: float

    @property
    def passed(self) -> bool:
        return self.p_value >= ALARM

    @property
    def observed_share(self) -> float:
        return self.control_units / max(1, self.control_units + self.treatment_units)


@formula(
    "Sample-ratio check",
    "χ² = Σ (observed − expected)² / expected, 1 degree of freedom; alarm when p < 0.001",
    "Fabijan et al. (2019), Diagnosing Sample Ratio Mismatch in Online Controlled Experiments, KDD",
)
def check_ratio(treatment_units: int, control_units: int, control_share: float) -> RatioCheck:
    """The chi-square test of both sizes against `control_share`, which lies between 0 and 1.

    A share of 0 or 1 expects an empty group: any unit in it is an alarm.
    """
    total = treatment_units + control_units
    expected = (total * (1.0 - control_share), total * control_share)
    if min(expected) == 0.0:
        wrong = control_units if control_share == 0.0 else treatment_units
        return RatioCheck(treatment_units, control_units, control_share, 0.0 if wrong else 1.0)
    statistic = sum((o - e) ** 2 / e for o, e in zip((treatment_units, control_units), expected, strict=True))
    return RatioCheck(treatment_units, control_units, control_share, float(chi2.sf(statistic, 1)))
