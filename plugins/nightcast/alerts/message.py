"""What an alert says."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

MOST_CHARACTERS = 2000
_SUBJECT_CHARACTERS = 100  # what SNS takes

# The secrets of Airflow's connections and variables are known to its masker; these may come from elsewhere.
_SECRETS = re.compile(
    r"(?i)((?:password|passwd|secret|token|api_?key|aws_secret_access_key|aws_session_token)[\"']?\s*[=:]\s*[\"']?)"
    r"[^\s\"'&;,]+"
    r"|(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s\"']+"
    r"|(://[^/\s:@]*:)[^/\s@]+(?=@)"
)


@dataclass(frozen=True)
class Alert:
    """One event that a person is to know of; None: not known, and left out.

    Parameters
    ----------
    event
        ``failure``, ``run-failure``, ``promotion-refused`` or ``deadline-missed``: for machines.
    title
        The same for people, in a few words.
    period
        The sales period, as it stands in the artifacts' keys.
    error
        What went wrong; at most 2,000 characters, without secrets.
    log_url
        Where to read on.
    next_step
        What to do now.
    """

    event: str
    title: str
    dag_id: str
    run_id: str | None
    next_step: str
    task_id: str | None = None
    period: str | None = None
    run_type: str | None = None
    error: str | None = None
    log_url: str | None = None

    @property
    def subject(self) -> str:
        """One line of printable ASCII, at most 100 characters."""
        where = f"{self.dag_id}.{self.task_id}" if self.task_id else self.dag_id
        period = f", {self.period}" if self.period else ""
        line = f"Nightcast: {self.title}: {where}{period}".encode("ascii", "replace").decode()
        return re.sub(r"[^ -~]+", " ", line)[:_SUBJECT_CHARACTERS]

    @property
    def text(self) -> str:
        """The whole message, one fact a line."""
        facts = {
            "DAG": self.dag_id,
            "Task": self.task_id,
            "Sales period": self.period,
            "Run": f"{self.run_id} ({self.run_type})" if self.run_type else self.run_id,
            "Error": self.error,
            "Log": self.log_url,
            "What to do": self.next_step,
        }
        return "\n".join([self.title, *(f"{name}: {value}" for name, value in facts.items() if value)])

    def to_document(self) -> dict[str, Any]:
        """JSON for a webhook; ``text`` is what chat services show."""
        return {"text": self.text, **asdict(self)}


def error_text(error: object) -> str:
    """An exception's message without secrets, cut to 2,000 characters."""
    text = str(error).strip() or type(error).__name__
    return without_secrets(text)[:MOST_CHARACTERS]


def without_secrets(text: str) -> str:
    """Blank out what Airflow knows to be secret, and what looks like it."""
    from airflow.sdk._shared.secrets_masker import redact

    return _SECRETS.sub(lambda match: f"{next(group for group in match.groups() if group)}***", str(redact(text)))
