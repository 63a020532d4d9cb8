"""What a request for a mail must be, and the mail it becomes."""

import email.message
import email.policy
import re
from typing import Any


def faults(body: Any) -> list[str]:
    """What is wrong with a request, all of it."""
    if not isinstance(body, dict):
        return ["the request must be a JSON object"]
    found = [f"{key}: unknown" for key in sorted(body) if key not in ("to", "subject", "text")]
    to, subject, text = (body.get(key) for key in ("to", "subject", "text"))
    if not isinstance(to, str) or not re.fullmatch(r"[\w.+-]{1,64}@[\w-]+(\.[\w-]+)+", to, re.ASCII):
        found.append("to: must be one mail address")
    if not isinstance(subject, str) or not 1 <= len(subject) <= 200 or not subject.isprintable():
        found.append("subject: must be one line of 1 to 200 characters")
    if not isinstance(text, str) or not 1 <= len(text) <= 20000:
        found.append("text: must have 1 to 20000 characters")
    return found


def render(body: dict[str, str], identity: str) -> bytes:
    """The mail as RFC 5322 has it."""
    mail = email.message.EmailMessage(policy=email.policy.SMTP)
    mail["From"] = "mailer@mailer.invalid"
    mail["To"] = body["to"]
    mail["Subject"] = body["subject"]
    mail["Message-ID"] = f"<{identity}@mailer.invalid>"
    mail.set_content(body["text"])
    return mail.as_bytes()
