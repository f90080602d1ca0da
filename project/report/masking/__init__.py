"""Signs that a victim only hides its gradients, so that its robustness is not what it seems.

An attack that follows the gradient says how robust a victim is only if the gradient leads anywhere.
Six checks of what a run has measured anyway ask whether it does; each ends in a finding per victim.

Source: Athalye et al., "Obfuscated Gradients Give a False Sense of Security", ICML 2018, section
3.1 [paper]; Carlini et al., "On Evaluating Adversarial Robustness", 2019, sections 4 and 5 [paper];
the tests, the margins and what counts as a sign: [ours].

Files, written into the run's folder with the report
    masking.csv   a line per check and victim
    masking.md    the same as a table, ready for documents
"""

from project.report.masking.check import Finding, flagged_sentences, read_findings
from project.report.masking.section import MaskingSection, masking_section

__all__ = [
    "Finding",
    "MaskingSection",
    "flagged_sentences",
    "masking_section",
    "read_findings",
]
