"""What an invoice must be."""

import re
from typing import Any


def faults(body: Any) -> list[str]:
    """What is wrong with a new invoice, all of it."""
    if not isinstance(body, dict):
        return ["the body must be a JSON object"]
    found = [f"{key}: unknown" for key in sorted(body) if key not in ("customer", "cents", "request")]
    customer, cents, request = body.get("customer"), body.get("cents"), body.get("request", "-")
    if not isinstance(customer, str) or not 1 <= len(customer.strip()) <= 200 or "\0" in customer:
        found.append("customer: must be text of 1 to 200 characters")
    if not isinstance(cents, int) or isinstance(cents, bool) or not 1 <= cents <= 10**12:
        found.append("cents: must be a whole number from 1 to 1000000000000")
    if not isinstance(request, str) or not re.fullmatch(r"[\w.-]{1,64}", request, re.ASCII):
        found.append("request: must be 1 to 64 letters, digits, '.', '_' or '-'")
    return found
